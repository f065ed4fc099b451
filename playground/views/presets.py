"""The row of presets in the Train view."""

from __future__ import annotations

from typing import Any

import gradio as gr

from playground.content.recordings import SPEED, Recordings
from playground.views.parts import part

_STRIP = """
<nav><span class="title"></span><ul></ul></nav>
<p class="about"><span><strong class="part"></strong> <span class="summary"></span></span>
<span class="origin"></span></p>
"""


def strip(recordings: Recordings, words: dict[str, Any]) -> gr.HTML:
    """The row of presets; its value is the name of the chosen one."""
    return part(
        "presets",
        _STRIP,
        "train/presets",
        events=("select",),
        value=None,
        cards=recordings.cards(),
        speed=SPEED,
        words=words,
    )
