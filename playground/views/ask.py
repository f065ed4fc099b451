"""The Try it view, which samples from models, and the Score it view, which scores texts."""

from __future__ import annotations

from typing import Any

import gradio as gr

from playground.handlers.ask import AskHandlers
from playground.people.requests import HandlersOf, server_functions
from playground.people.threads import Threads
from playground.views import run_picker
from playground.views.parts import part

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


def build_try(handlers_of: HandlersOf, words: dict[str, Any], questions: Threads) -> None:
    """Lay out the view that samples several models' completions of a prompt, in the threads
    `questions`."""
    functions = server_functions(handlers_of, AskHandlers.runs)
    functions += server_functions(handlers_of, AskHandlers.generate, threads=questions)
    lines = f'<div class="lines">{_PROMPT}{_BUTTON}</div>{_MIX}'
    _view("try", _ASK.format(numbers=_NUMBERS, lines=lines), functions, words)


def build_score(handlers_of: HandlersOf, words: dict[str, Any], questions: Threads) -> None:
    """Lay out the view that shows a text's rewards and log-probabilities, which are computed in the
    threads `questions`."""
    functions = server_functions(handlers_of, AskHandlers.runs)
    functions += server_functions(handlers_of, AskHandlers.score, threads=questions)
    lines = f'<div class="lines">{_PROMPT}{_ANSWER}{_BUTTON}</div>'
    _view("score", _ASK.format(numbers="", lines=lines), functions, words)


def _view(name: str, template: str, functions: list[Any], words: dict[str, Any]) -> gr.HTML:
    return part(
        name,
        template,
        f"ask/{name}",
        server_functions=functions,
        words={**words["try"], **words[name]},
        shading=words["samples"] | words["shading"],
        **run_picker.props(words),
    )
