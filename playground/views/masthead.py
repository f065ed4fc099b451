"""The head of the page: its title, a link to the settings, and what a visitor can keep of a run."""

from __future__ import annotations

from typing import Any

import gradio as gr

from playground.handlers.links import FIELDS
from playground.views.parts import part

_TEMPLATE = """
<header><h1></h1><p></p><nav>
  <input readonly hidden>
  <button type="button" class="copy"></button>
  <details class="menu keep"><summary></summary>
    <div>
      <p class="kept"></p>
      <button type="button" class="page"></button>
      <button type="button" class="files"></button>
      <button type="button" class="command"></button>
      <button type="button" class="python"></button>
      <textarea readonly hidden></textarea>
      <p class="note" role="status"></p>
      <figure class="code" hidden><img width="240" height="240"><figcaption></figcaption></figure>
    </div>
  </details>
  <button type="button" class="tell"></button>
</nav></header>
"""
_WORDS = ("title", "tagline", "language", "link", "keep", "methods", "tasks")


def build(words: dict[str, Any], others: dict[str, dict[str, str]]) -> gr.HTML:
    """Lay out the head; `others` has the tag and name of each other language."""
    return part(
        "masthead",
        _TEMPLATE,
        "masthead/links",
        events=("submit",),
        value=None,
        words={name: words[name] for name in _WORDS},
        others=others,
        tell=words["story"]["open"],
        fields=FIELDS,
        views=words["views"],
    )
