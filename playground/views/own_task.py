"""The form of the visitor's own task, above the charts of Train while that task is chosen."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from playground.handlers.preparation import PreparationHandlers
from playground.own.examples import ANSWERS, EXAMPLES
from playground.people.requests import with_visitor
from playground.people.run_queue import RunQueue
from playground.views.parts import part

_OWN = """
<section class="panel asking">
  <header><h2></h2><p class="summary"></p>
    <button type="button" class="prepare late"></button>
    <button type="button" class="change"></button>
    <a class="zip" href="own/task.zip" download></a>
    <button type="button" class="delete"></button></header>
  <p class="preparation"><span class="stands" role="status"></span>
    <button type="button" class="stop" hidden></button></p>
  <div class="bar" hidden><div></div></div>
  <form autocomplete="off" novalidate>
    <p class="begin"><span class="label"></span> <span class="examples"></span></p>
    <div class="texts">
      <label class="title line"><span class="label"></span>
        <input name="title" maxlength="100"></label>
      <ul class="errors" data-of="title"></ul>
      <label class="prompts"><span class="label"></span>
        <textarea name="prompts" rows="6"></textarea><small></small></label>
      <ul class="errors" data-of="prompts"></ul>
      <details class="pairs"><summary class="label"></summary><label><small></small>
        <textarea name="pairs" rows="5"></textarea></label></details>
      <ul class="errors" data-of="pairs"></ul>
      <div class="drop"><span></span> <button type="button"></button>
        <input type="file" multiple hidden></div>
      <ul class="errors" data-of="files"></ul>
    </div>
    <div class="reward"><div class="parts"></div>
      <ul class="errors" data-of="reward"></ul></div>
    <div class="last">
      <label class="model"><span class="label"></span><select name="model"></select></label>
      <label class="hub" hidden><span></span><input name="hub" maxlength="200"></label>
      <label class="max_new_tokens"><span class="label"></span>
        <input name="max_new_tokens" type="number" min="1" step="1"></label>
      <button type="submit"></button>
    </div>
    <ul class="errors" data-of="model"></ul>
    <ul class="errors" data-of="max_new_tokens"></ul>
    <p class="limits"></p>
  </form>
  <ul class="errors all" role="alert"></ul>
</section>
"""


def build(words: dict[str, Any], queue: RunQueue) -> gr.HTML:
    """The part. Its event `renewed` means that the task was made, changed or deleted."""
    handlers = PreparationHandlers(queue, words)
    bind = partial(with_visitor, queue.visitors)
    return part(
        "own_task",
        _OWN,
        "own/own_task",
        events=("renewed",),
        server_functions=[
            bind("prepare", handlers.prepare),
            bind("stop_preparing", handlers.stop_preparing),
            bind("preparation", handlers.preparation),
        ],
        examples=EXAMPLES,
        answers=list(ANSWERS),
        words=words["own"] | {"language": words["language"]["tag"]},
    )
