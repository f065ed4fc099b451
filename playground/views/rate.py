"""The Rate view: people vote on pairs of a model's texts, alone or in a room."""

from __future__ import annotations

from typing import NamedTuple

import gradio as gr

from align_core.votes.simulated_raters import CROWDS
from playground.handlers.ask import AskHandlers
from playground.people.requests import server_functions
from playground.views import run_picker
from playground.views.parts import part
from playground.views.shared import Shared
from playground.voting.routes import SIMULATED_VOTES
from playground.voting.vote_training import PIPELINES


class Enough(NamedTuple):
    """The number of votes that is enough to train on (`few_votes.enough`), and the accuracies in %
    of reward models trained on that number and on 2,000 votes (benchmarks/few_votes.json)."""

    enough: int
    share: int
    of_many: int


ENOUGH = {"reviews": Enough(25, 79, 84), "capitals": Enough(400, 64, 67)}  # by task
_RATE = """
<form class="asking" autocomplete="off">
  <div class="panel">
    <fieldset class="choice tasks"><legend></legend></fieldset>
    <fieldset class="choice models"><legend></legend></fieldset>
    <label class="share"><span class="name"></span>
      <input type="range" min="0" max="100" step="5"><output></output>
      <small class="asks"></small><small class="about"></small></label>
    <fieldset class="room"><legend></legend>
      <p class="state"></p>
      <button type="button" class="open"></button>
      <button type="button" class="close"></button>
      <button type="button" class="save"></button>
      <button type="button" class="delete"></button>
    </fieldset>
  </div>
  <div class="side">
    <ul class="errors" role="alert"></ul>
    <section class="hall card" hidden>
      <div class="invitation"><img alt=""><p class="link"></p></div>
      <div class="counts"></div>
      <div class="disputed"><h2></h2><p class="prompt"></p><div class="texts"></div></div>
    </section>
    <section class="ballot card">
      <p class="message" role="status"></p>
      <div class="pair" hidden>
        <p class="asked"></p><p class="prompt"></p>
        <div class="texts">
          <button type="button" data-choice="left"><small></small><span></span></button>
          <button type="button" data-choice="right"><small></small><span></span></button>
        </div>
        <div class="others">
          <button type="button" data-choice="tie"></button>
          <button type="button" data-choice="bad"></button>
          <button type="button" class="undo"></button>
          <button type="button" class="skip"></button>
        </div>
        <p class="keys"></p>
      </div>
    </section>
    <section class="card enough">
      <p class="count"></p><div class="bar"><div></div></div><p class="reason"></p>
      <p class="crowd"><label><span></span> <select></select></label>
        <button type="button" class="simulate"></button></p>
    </section>
    <section class="card train">
      <h2></h2>
      <fieldset class="choice ways"></fieldset>
      <label class="mixed"><span class="name"></span>
        <input type="range" min="0" max="90" step="10" value="0"><output></output></label>
      <button type="submit"></button>
      <p class="aside"></p>
    </section>
    <section class="card report" hidden></section>
  </div>
</form>
"""


def build(shared: Shared) -> gr.HTML:
    """Lay out the view. Votes bypass Gradio; they are sent to the routes of `voting.routes`.

    Returns the part. Its event `trained` means that a run on the votes was requested.
    """
    words = shared.words
    refused = {
        **words["ballot"]["refused"],
        "presenter": words["rate"]["only_presenter"],
        **{reason: words["visitors"][reason] for reason in ("one_each", "queue_full")},
        "no_votes": words["errors"]["says"]["no_votes"],
    }
    return part(
        "rate",
        _RATE,
        "rate/rate",
        events=("trained",),
        server_functions=server_functions(shared.handlers_of(AskHandlers), AskHandlers.runs),
        words={**words["try"], **words["ballot"], **words["rate"], "refused": refused},
        enough={task: votes._asdict() for task, votes in ENOUGH.items()},
        crowds=list(CROWDS),
        simulated=SIMULATED_VOTES,
        ways=list(PIPELINES),
        statuses=words["status"]["names"],
        shading=words["samples"] | words["shading"],
        **run_picker.props(words),
    )
