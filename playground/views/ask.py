"""The Try it view, which samples from models, and the Score it view, which scores texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playground.handlers.ask import AskHandlers
from playground.people.requests import server_functions
from playground.views import run_picker
from playground.views.parts import part
from playground.views.shared import Shared

_ASK = """
<form class="asking" autocomplete="off">
  <div class="panel">
    <fieldset class="choice tasks"><legend></legend></fieldset>
    <fieldset class="choice models"><legend></legend></fieldset>
    {numbers}
  </div>
  <div class="side">
    {lines}
    <ul class="errors" role="alert"></ul>
    <div class="answers" aria-live="polite"></div>
    <p class="scale"><b>−2</b><i></i><b>+2</b> <span></span></p>
  </div>
</form>
"""
_NUMBERS = """
<div class="numbers">
  <label><span class="n"></span>
    <input name="n" type="number" min="1" max="16" value="4" required></label>
  <label><span class="temperature"></span>
    <input name="temperature" type="number" min="0.05" max="10" step="any" value="1" required>
  </label>
</div>
"""
_PROMPT = """
<label class="line"><span class="prompt"></span>
  <input name="prompt" maxlength="2000" required></label>
"""
_ANSWER = """
<label class="line"><span class="own"></span><input name="own" maxlength="2000"></label>
"""
_BUTTON = '<button type="submit"></button>'
_MIX = """
<label class="mix" hidden><small></small>
  <input name="share" type="range" min="0" max="2" step="0.05" value="1"><output></output></label>
"""


def build_try(shared: Shared) -> None:
    """Lay out the view that samples several models' completions of a prompt."""
    lines = f'<div class="lines">{_PROMPT}{_BUTTON}</div>{_MIX}'
    _view("try", _ASK.format(numbers=_NUMBERS, lines=lines), AskHandlers.generate, shared)


def build_score(shared: Shared) -> None:
    """Lay out the view that shows a text's rewards and log-probabilities."""
    lines = f'<div class="lines">{_PROMPT}{_ANSWER}{_BUTTON}</div>'
    _view("score", _ASK.format(numbers="", lines=lines), AskHandlers.score, shared)


def _view(name: str, template: str, query: Callable[..., Any], shared: Shared) -> None:
    """Lay out a view that sends its form as a `query`, which a method of AskHandlers answers."""
    words, handlers_of = shared.words, shared.handlers_of(AskHandlers)
    part(
        name,
        template,
        f"ask/{name}",
        server_functions=[
            *server_functions(handlers_of, AskHandlers.runs),
            *server_functions(handlers_of, query, threads=shared.questions),
        ],
        words={**words["try"], **words[name]},
        shading=words["samples"] | words["shading"],
        **run_picker.props(words),
    )
