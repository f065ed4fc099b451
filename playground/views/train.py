"""The Train view: settings on the left; status, live curves and texts on the right."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from align_core.client import Client
from align_core.configs import METHODS, TASK_NAMES
from playground import charts
from playground.steering import FIRST_METHOD, FIRST_TASK, NUMBERS, Steering

_SCRIPTS = Path(__file__).parents[1]
_LIVE = """
<p class="line"><span class="state" role="status"></span> <span class="progress"></span>
<span class="settings"></span></p>
<div class="bar"><div></div></div>
<p class="told"></p>
"""
_SAMPLES = """
<div class="samples" data-empty="true">
  <div class="heads"><h2 class="reference"></h2>
    <h2><span class="policy"></span> <span class="step"></span></h2></div>
  <p class="none"></p>
  <ol class="rows"></ol>
  <footer><button type="button" class="more" hidden></button>
    <p class="scale"><b>−4</b><i></i><b>+4</b> <span></span></p></footer>
</div>
"""


def build(page: gr.Blocks, client: Client, words: dict[str, Any]) -> None:
    """Lay the view out in `page`, which is being built, and wire it to `client`."""
    steering = Steering(client, words)

    def delta(cursor: dict[str, Any]) -> dict[str, Any]:  # Gradio marks it, which no method allows
        return steering.delta(cursor)

    with gr.Row(elem_id="train"):
        with gr.Column(elem_id="controls", scale=0, min_width=300):
            choices, explanations, numbers = _settings(steering, words)
            complaints = _part("complaints", "<ul></ul>", value=[], fields=list(NUMBERS))
            buttons = _buttons(words["controls"])
        with gr.Column(elem_id="stage", scale=1):
            live = _part(
                "live",
                _LIVE,
                value={"run": None},
                server_functions=[delta],
                words={name: words[name] for name in ("status", "methods", "tasks")},
            )
            _part(
                "charts",
                "<div class='charts'></div>",
                words=words["charts"],
                charts=charts.CHARTS,
                method=FIRST_METHOD,
                head=f'<script src="gradio_api/file={charts.PLOTLY}"></script>',
            )
            _part("samples", _SAMPLES, words=words["samples"])

    # Steering waits behind nobody's queued events, and lays no veil over what it updates.
    at_once: dict[str, Any] = {
        "queue": False,
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    settings = [*explanations, *numbers]
    page.load(steering.restore, None, [*choices, *settings], **at_once)
    for choice in choices:
        choice.input(steering.choose, choices, settings, **at_once)
    buttons["run"].click(steering.start, [*choices, *numbers], [live, complaints], **at_once)
    for name in ("pause", "resume", "step", "stop"):
        buttons[name].click(partial(steering.command, name), **at_once)


def _settings(
    steering: Steering, words: dict[str, Any]
) -> tuple[list[gr.Radio], list[gr.HTML], list[gr.Number]]:
    """The two choices, the explanation under each, and the numbers."""
    labels = words["controls"]
    told_task, told_method, beta, *others = steering.choose(FIRST_TASK, FIRST_METHOD)
    choices, explanations = [], []
    for field, names, first, told in (
        ("task", TASK_NAMES, FIRST_TASK, told_task),
        ("method", METHODS, FIRST_METHOD, told_method),
    ):
        options = [(words[f"{field}s"][name]["name"], name) for name in names]
        choices.append(
            gr.Radio(options, value=first, label=labels[field], elem_id=f"field-{field}")
        )
        explanations.append(gr.HTML(told, elem_classes="explanation"))
    with gr.Row(elem_id="numbers"):
        numbers = [
            gr.Number(
                value,
                label=labels[field],
                info=labels.get(f"{field}_info"),
                step=0.05 if field == "beta" else 1,
                min_width=60,
                elem_id=f"field-{field}",
            )
            for field, value in zip(NUMBERS, (beta["value"], *others), strict=True)
        ]
    return choices, explanations, numbers


def _buttons(labels: dict[str, str]) -> dict[str, gr.Button]:
    """All of them: which are to be seen is a matter of the run's status, and of style.css."""
    with gr.Row(elem_id="buttons"):
        return {
            name: gr.Button(
                labels[name], elem_id=name, variant="primary" if name == "run" else "secondary"
            )
            for name in ("run", "pause", "resume", "step", "stop")
        }


def _part(name: str, template: str, **props: Any) -> gr.HTML:
    """A part of the page that its own script draws, from data and never from templates."""
    script = (_SCRIPTS / f"{name}.js").read_text(encoding="utf-8")
    return gr.HTML(
        html_template=template,
        js_on_load=script,
        apply_default_css=False,
        elem_id=name,
        **props,
    )
