"""The Train view's controls: task, method, settings, buttons and pace."""

from __future__ import annotations

from typing import Any

import gradio as gr

from playground.content import optimum, tasks
from playground.content.page_names import page_name
from playground.handlers.form import (
    ADVANCED,
    CHOICES,
    FIRST_METHOD,
    NUMBERS,
    PREFERENCES,
    SOURCES,
    first_task,
)
from playground.handlers.train import PACES, TrainHandlers
from playground.views.parts import part

_BETA = """
<label class="label"></label>
<div class="scale">
  <input type="range" min="0" max="1" step="any"><input type="number" step="any">
</div>
<label class="zero"><input type="checkbox"> <span></span></label>
<p class="info"></p>
"""

_METHOD = """
<fieldset><span></span><div class="wrap"></div></fieldset>
<details><summary></summary></details>
"""

First = dict[str, dict[str, Any]]  # the initial update of each control (`form.controls`)


def settings(
    handlers: TrainHandlers, words: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, gr.HTML]]:
    """The controls of task, method and settings by name, and the explanations of the first two."""
    labels = words["controls"]
    first = handlers.choose({"task": first_task(), "method": FIRST_METHOD})
    controls, explanations = _task_and_method(first, words)
    controls["beta"] = _beta(first, labels)
    with gr.Row(elem_id="numbers", elem_classes="numbers"):
        controls |= {field: _number(field, first, labels) for field in NUMBERS}
    with gr.Row(elem_id="preferences", elem_classes="numbers"):
        controls |= {field: _number(field, first, labels) for field in PREFERENCES}
        controls["coverage"] = _coverage(first, words)
    with (
        gr.Accordion(labels["advanced"], open=False, elem_id="advanced"),
        gr.Row(elem_classes="numbers"),
    ):
        controls |= {field: _number(field, first, labels) for field in ADVANCED}
        controls["reward_model"] = _reward_model(first, words)
        controls["pair_source"] = _pair_source(first, words)
        controls["whiten_advantages"] = _whiten_advantages(first, words)
        controls |= {field: _choice(field, first, words) for field in CHOICES}
    return controls, explanations


def buttons(labels: dict[str, Any]) -> dict[str, gr.Button]:
    """All buttons. controls.css shows and hides them by the run's status."""
    return {
        name: gr.Button(
            labels[name], elem_id=name, variant="primary" if name == "run" else "secondary"
        )
        for name in ("run", "queue", "leave", "pause", "resume", "step", "stop")
    }


def _task_and_method(
    first: First, words: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, gr.HTML]]:
    """The controls of task and method, each followed by its explanation."""
    controls: dict[str, Any] = {}
    explanations: dict[str, gr.HTML] = {}

    def explain(field: str) -> None:
        name = f"{field}_explanation"
        explanations[name] = gr.HTML(first[name], elem_classes="explanation")

    label, task = words["controls"]["task"], page_name(first_task())
    options = [(words["tasks"][name]["name"], name) for name in tasks.available()]
    controls["task"] = gr.Radio(options, value=task, label=label, elem_id="field-task")
    explain("task")
    controls["method"] = part(
        "field-method",
        _METHOD,
        "train/method",
        events=("input",),
        value=FIRST_METHOD,
        offered=first["method"]["offered"],
        words={name: words[name] for name in ("methods", "controls")},
    )
    explain("method")
    return controls, explanations


def _beta(first: First, labels: dict[str, Any]) -> gr.HTML:
    """β, as a slider and as a number."""
    return part(
        "field-beta",
        _BETA,
        "train/beta",
        events=("release",),
        value=first["beta"]["value"],
        zero=first["beta"]["zero"],
        range=optimum.BETAS,
        words=labels,
    )


def _number(field: str, first: First, labels: dict[str, Any]) -> gr.Number:
    return gr.Number(
        first[field]["value"],
        visible=first[field]["visible"],
        label=labels[field],
        min_width=60,
        elem_id=f"field-{field}",
    )


def _coverage(first: First, words: dict[str, Any]) -> gr.CheckboxGroup:
    """The kinds of prompts that have preferences."""
    return gr.CheckboxGroup(first["coverage"]["choices"], **_properties("coverage", first, words))


def _pair_source(first: First, words: dict[str, Any]) -> gr.Radio:
    """The model that wrote the texts of the pairs."""
    labels = words["controls"]
    sources = [(labels[f"source_{name}"], name) for name in ("reference", *SOURCES)]
    return gr.Radio(sources, **_properties("pair_source", first, words))


def _reward_model(first: First, words: dict[str, Any]) -> gr.Radio:
    """The reward that a method on rollouts optimises."""
    return gr.Radio(
        first["reward_model"]["choices"],
        value=first["reward_model"]["value"],
        visible=first["reward_model"]["visible"],
        label=words["controls"]["reward_model"],
        elem_id="field-reward_model",
    )


def _whiten_advantages(first: First, words: dict[str, Any]) -> gr.Checkbox:
    """Whether PPO normalises its advantages."""
    return gr.Checkbox(**_properties("whiten_advantages", first, words))


def _choice(field: str, first: First, words: dict[str, Any]) -> gr.Dropdown:
    """A setting whose possible values depend on the method."""
    return gr.Dropdown(first[field]["choices"], **_properties(field, first, words))


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
