"""The Train view's controls for settings with a choice of values."""

from __future__ import annotations

from typing import Any

import gradio as gr

from playground.handlers.form import SOURCES
from playground.handlers.train import PACES

First = dict[str, dict[str, Any]]  # the initial update of each control (`form.controls`)


def coverage(first: First, words: dict[str, Any]) -> gr.CheckboxGroup:
    """The kinds of prompts that have preferences."""
    return gr.CheckboxGroup(first["coverage"]["choices"], **_properties("coverage", first, words))


def pair_source(first: First, words: dict[str, Any]) -> gr.Radio:
    """The model that wrote the texts of the pairs."""
    labels = words["controls"]
    sources = [(labels[f"source_{name}"], name) for name in ("reference", *SOURCES)]
    return gr.Radio(sources, **_properties("pair_source", first, words))


def reward_model(first: First, words: dict[str, Any]) -> gr.Radio:
    """The reward that PPO optimises."""
    return gr.Radio(
        first["reward_model"]["choices"],
        value=first["reward_model"]["value"],
        visible=first["reward_model"]["visible"],
        label=words["controls"]["reward_model"],
        elem_id="field-reward_model",
    )


def whiten_advantages(first: First, words: dict[str, Any]) -> gr.Checkbox:
    """Whether PPO normalises its advantages."""
    return gr.Checkbox(**_properties("whiten_advantages", first, words))


def _properties(field: str, first: First, words: dict[str, Any]) -> dict[str, Any]:
    return {
        "value": first[field]["value"],
        "visible": first[field]["visible"],
        "label": words["controls"][field],
        "info": words["controls"][f"{field}_info"],
        "elem_id": f"field-{field}",
    }


def pace(labels: dict[str, Any]) -> gr.Radio:
    """The pause between two steps of a run."""
    paces = list(zip(labels["paces"], PACES, strict=True))
    return gr.Radio(paces, value=PACES[0], label=labels["pace"], elem_id="field-pace")
