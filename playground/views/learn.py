"""The Learn view: the path from SFT to the optimum; each step has equations and real numbers."""

from __future__ import annotations

import json
from typing import Any

from align_core.config import model_index
from align_core.config.methods import methods
from align_core.config.task_card import BUILT_IN
from playground.content import optimum
from playground.handlers.ask import AskHandlers
from playground.handlers.form import FIRST_TASK
from playground.people.requests import server_functions
from playground.views.parts import part
from playground.views.shared import Shared

_LEARN = """
<div class="learn">
  <figure class="path"></figure>
  <div class="dials">
    <fieldset class="choice tasks"><legend></legend></fieldset>
    <label class="beta"><span class="name"></span>
      <input type="range" min="0" max="1" step="any"><output></output></label>
    <p class="role"></p>
  </div>
  <article>
    <h2></h2>
    <div class="loop"></div>
    <div class="summary"><p class="what"></p>
      <div class="equations"></div><p class="source"></p></div>
    <div class="worked"><div class="example"></div><ol class="steps"></ol>
      <p class="verdict"></p><p class="note"></p></div>
  </article>
</div>
"""


def build(shared: Shared) -> None:
    """Lay out the view. Only the numbers of a visitor's own run are queried from the server."""
    words, handlers_of = shared.words, shared.handlers_of(AskHandlers)
    part(
        "learn",
        _LEARN,
        "learn/learn",
        server_functions=server_functions(
            handlers_of, AskHandlers.newest_run, AskHandlers.score, threads=shared.questions
        ),
        words=words["learn"],
        shading=words["samples"] | words["shading"],
        method_names={method: words["methods"][method]["name"] for method in methods()},
        task_names={task: words["tasks"][task]["name"] for task in BUILT_IN},
        lessons={task: _lesson(task) for task in BUILT_IN},
        first_task=FIRST_TASK,
        range=optimum.BETAS,
    )


def _lesson(task: str) -> dict[str, Any]:
    return json.loads(model_index.worked_example(task).read_text(encoding="utf-8"))
