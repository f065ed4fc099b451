"""The row of presets in the Train view: recorded runs, alone and in races of two."""

from __future__ import annotations

from typing import Any

import gradio as gr

from playground.content.recordings import Recordings
from playground.people.threads import Threads
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
    "real": ("real-ppo", "real-dpo", "real-reward", "real-hacking"),
    "methods": (
        "rloo-same-beta",
        "grpo-same-beta",
        "grpo-no-kl",
        "ipo-too-long",
        "thumbs-kto",
        "simpo-no-leash",
    ),
}
# Preset -> the preset that its card compares it with, and whose trail is drawn beside it.
COUNTERPARTS = {
    "healthy-ppo": "healthy-dpo",
    "healthy-dpo": "healthy-ppo",
    "short-leash": "healthy-ppo",
    "no-leash": "healthy-ppo",
    "dpo-too-long": "ipo-too-long",
    "ipo-too-long": "dpo-too-long",
    "reward-hacking": "hacking-mended",
    "hacking-mended": "reward-hacking",
    "noisy-raters": "healthy-dpo",
    "off-distribution-dpo": "healthy-dpo",
    "off-distribution-ppo": "healthy-ppo",
    "real-ppo": "real-dpo",
    "real-dpo": "real-ppo",
    "rloo-same-beta": "healthy-ppo",
    "grpo-same-beta": "rloo-same-beta",
    "grpo-no-kl": "no-leash",
    "thumbs-kto": "healthy-dpo",
    "simpo-no-leash": "healthy-dpo",
}
# Race -> its two presets. The run of the first is the longer one: it is replayed, and the trail of
# the other run follows its clock.
RACES = {
    "ppo-dpo": ("healthy-ppo", "healthy-dpo"),
    "hacking": ("reward-hacking", "hacking-mended"),
    "texts": ("off-distribution-dpo", "healthy-dpo"),
}
_STRIP = """
<nav><ul></ul></nav>
<p class="origin"></p>
"""


def strip(recordings: Recordings, pictures: Threads, all_words: dict[str, Any]) -> gr.HTML:
    """The row of presets; its value is the name of the chosen one.

    Trails of recordings are read in the threads `pictures`.
    """

    # Gradio sets attributes on the functions that it serves, which bound methods do not allow.
    def trail(request: gr.Request, run: Any) -> dict[str, Any] | None:
        return recordings.trail(run)

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
        counterparts={
            preset: counterpart
            for preset, counterpart in COUNTERPARTS.items()
            if counterpart in cards
        },
        races={name: pair for name, pair in RACES.items() if {*pair} <= cards.keys()},
        server_functions=[pictures.serve(trail)],
        words=words,
    )


def ghost_words(words: dict[str, Any]) -> dict[str, Any]:
    """The words for the name of a ghost, the trail of another run in the frontier chart: those for
    methods, and those for settings as in Compare."""
    compare = words["compare"]
    settings = {name: compare[name] for name in ("settings", "yes", "no")}
    return {**settings, "methods": words["methods"], "same": words["frontier"]["same"]}
