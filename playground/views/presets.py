"""The row of presets in the Train view."""

from __future__ import annotations

from typing import Any

import gradio as gr

from playground.content.recordings import Recordings
from playground.text.durations import duration
from playground.text.machines import machine
from playground.views.parts import part

# The presets in the order of a talk. A preset that is in no group is not shown.
GROUPS = {
    "ppo": ("healthy-ppo", "short-leash"),
    "dpo": ("healthy-dpo", "dpo-too-long"),
    "wrong": ("no-leash", "reward-hacking", "hacking-mended"),
    "data": (
        "noisy-raters",
        "off-distribution-dpo",
        "off-distribution-ppo",
        "half-the-continents",
    ),
    "real": ("real-ppo", "real-dpo", "real-reward"),
    "methods": (
        "rloo-same-beta",
        "grpo-same-beta",
        "grpo-no-kl",
        "ipo-too-long",
        "thumbs-kto",
        "simpo-no-leash",
    ),
}
_STRIP = """
<nav><ul></ul></nav>
<p class="origin"></p>
"""


def strip(recordings: Recordings, all_words: dict[str, Any]) -> gr.HTML:
    """The row of presets; its value is the name of the chosen one."""
    cards, words = recordings.cards(), all_words["presets"]
    for card in cards.values():
        card["machine"] = machine(card["machine"], words)
        card["time"] = duration(card["seconds"], all_words)
    return part(
        "presets",
        _STRIP,
        "train/presets",
        events=("select",),
        value=None,
        cards=cards,
        groups=GROUPS,
        words=words,
    )
