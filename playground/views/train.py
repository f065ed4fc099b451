"""The Train view: settings on the left; status, frontier, live curves and texts on the right."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import gradio as gr

from align_core.config.methods import methods
from align_core.config.task_card import BUILT_IN
from align_core.runs.client import Client
from playground.content import charts, optimum
from playground.handlers import links
from playground.handlers.long_polling import Patience
from playground.handlers.train import (
    ADVANCED,
    FIRST_METHOD,
    FIRST_TASK,
    NUMBERS,
    PACES,
    PREFERENCES,
    SETTINGS,
    Steering,
)
from playground.people.requests import by_visitor
from playground.people.run_queue import Line
from playground.people.visitors import Visitor
from playground.views import presets
from playground.views.choices import coverage, pair_source, whiten_advantages
from playground.views.parts import PLOTLY_HEAD, part

# The last of what a handler gets is the run that the page shows.
_WITH_SHOWN = "(...given) => [...given.slice(0, -1), window.playground.run?.name ?? null]"
# A run of few steps is measured five times all the same. It is the browser that says so: a press of
# Run follows at once.
_OFTEN_ENOUGH = """(steps, every) =>
  steps >= 1 && every > steps / 5 ? Math.max(1, Math.floor(steps / 5)) : every"""
_BETA = """
<label class="label"></label>
<div class="scale">
  <input type="range" min="0" max="1" step="any"><input type="number" step="any">
</div>
<label class="zero"><input type="checkbox"> <span></span></label>
<p class="info"></p>
"""
_LIVE = """
<p class="line"><span class="state" role="status"></span> <span class="whose"></span>
<span class="progress"></span>
<span class="settings"></span> <button type="button" class="newest"></button></p>
<div class="timeline"><div class="bar"><div></div></div>
  <input type="range" min="0" step="1" disabled></div>
<p class="told"></p>
"""
_STORY = "<ul class='story'></ul>"
_VISIT = """
<p class="line" role="status" hidden></p>
<button type="button" class="watch" hidden></button>
<label class="share" hidden><input type="checkbox"> <span></span></label>
<p class="presents" role="status" hidden></p>
<p class="limit" hidden></p>
"""
_TRAINED_ON = "<p class='learnt'></p><p class='again'></p>"
_FOLD = "<button type='button' aria-expanded='false'></button>"
_FRONTIER = """
<section class="chart">
  <header><h2></h2><button type="button" class="help">?</button></header>
  <div class="values">
    <span class="value target" hidden><i></i><span class="name"></span><strong></strong></span>
    <span class="value policy" hidden><i></i><span class="name"></span><strong></strong></span>
  </div>
  <div class="plot" role="img"></div>
  <p class="remarks"></p>
</section>
"""
_CHARTS = "<div class='charts'></div>"
_SAMPLES = """
<div class="samples" data-empty="true">
  <div class="heads"><h2><span class="reference"></span></h2>
    <h2><span class="policy"></span> <span class="step"></span></h2>
    <h2><span class="optimum"></span> <span class="beta"></span></h2></div>
  <p class="none"></p>
  <ol class="rows"></ol>
  <footer><button type="button" class="more" hidden></button>
    <p class="scale"><b>−2</b><i></i><b>+2</b> <span class="tokens"></span></p>
    <p class="scale"><b>−4</b><i></i><b>+4</b> <span class="rewards"></span></p></footer>
</div>
"""


def build(page: gr.Blocks, client: Client, words: dict[str, Any], line: Line) -> list[gr.Component]:
    """Lay the view out in `page`, which is being built, and wire it to `client` and its `line`.

    Returns what holds the task, the method and the SETTINGS.
    """
    steering = Steering(client, words, line)
    known = partial(by_visitor, line.visitors)
    patience = Patience(steering.has_news)
    followed = known("delta", steering.followed)

    def adopt(run: Any, visitor: Visitor) -> list[Any]:
        return steering.restore(watched=run, visitor=visitor)

    def restore(request: gr.Request) -> list[Any]:
        visitor = line.visitors.behind(request.cookies)
        return steering.restore(links.read(request.query_params), visitor=visitor)

    # Gradio marks what it serves, which no method allows.
    def enter(request: gr.Request, key: Any) -> bool:
        visitor = line.visitors.behind(request.cookies)
        return line.visitors.enter(visitor, key, request.client.host)

    async def delta(request: gr.Request, cursor: dict[str, Any]) -> dict[str, Any]:
        run, offset = cursor.get("run"), cursor.get("offset")
        if isinstance(run, str) and isinstance(offset, int):
            await patience.until_past((run, offset))
        return await asyncio.to_thread(followed, request, cursor)

    def curves(name: str, drawn: dict[str, Any]) -> None:
        part(
            name,
            _CHARTS,
            "charts/plotting",
            "charts/charts",
            words=words["charts"],
            charts=drawn,
            head=PLOTLY_HEAD,
        )

    first = {"task": FIRST_TASK, "method": FIRST_METHOD}
    with gr.Row(elem_id="train"):
        with gr.Column(elem_id="controls", scale=0, min_width=300):
            choices, explanations, settings = _settings(steering, words)
            with gr.Row(elem_id="buttons"):
                complaints = part(
                    "complaints", "<ul></ul>", "train/complaints", value=[], fields=list(SETTINGS)
                )
                buttons = _buttons(words["controls"] | words["visitors"]["buttons"])
            part(
                "visit",
                _VISIT,
                "train/visit",
                server_functions=[known("share", steering.share), enter],
                words=words["visitors"],
                limit=line.time_limit,
            )
            part("fold", _FOLD, "train/fold", words=words["controls"])
            pace = _pace(words["controls"])
        with gr.Column(elem_id="stage", scale=1):
            preset = presets.strip(steering.recordings, words["presets"])
            live = part(
                "live",
                _LIVE,
                "core/following",
                "train/live",
                value={"run": None},
                server_functions=[delta],
                words={
                    name: words[name]
                    for name in ("status", "methods", "tasks", "presets", "visitors")
                },
            )
            votes = part("trained_on", _TRAINED_ON, "train/trained_on", words=words["trained_on"])
            with gr.Row(elem_id="pictures"):
                picture = part(
                    "frontier",
                    _FRONTIER,
                    "core/newest",
                    "charts/plotting",
                    "charts/trade",
                    "train/frontier",
                    value=first,
                    server_functions=[optimum.frontier, optimum.target],
                    words=words["frontier"],
                    head=PLOTLY_HEAD,
                )
                curves("charts", charts.CHARTS)
            part("story", _STORY, "train/story")
            part(
                "samples",
                _SAMPLES,
                "core/shading",
                "train/samples",
                words=words["samples"],
                shading=words["shading"] | words["samples"],
            )
            curves("own", charts.OWN)

    # Steering waits behind nobody's queued events, and lays no veil over what it updates.
    at_once: dict[str, Any] = {
        "queue": False,
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    # While an answer is awaited Gradio would pass over a second choice; its last one counts.
    to_last = {**at_once, "trigger_mode": "always_last"}
    told = [*explanations, *settings.values(), picture]
    asked = [*choices, *settings.values()]
    loaded = page.load(restore, None, [*choices, *told], **at_once)
    chosen = [choice.input(steering.choose, choices, told, **to_last) for choice in choices]
    played = preset.select(known("play", steering.play), preset, [live, *choices, *told], **at_once)
    adopted = votes.select(known("adopt", adopt), votes, [*choices, *told], **at_once)
    loaded.then(js="() => { document.body.dataset.settled = true; }", **at_once)
    for settled in (loaded, played, adopted, *chosen):
        settled.then(steering.needed, [pace, *asked], buttons["run"], **to_last)
    measured = settings["eval_every"]
    steps_and_measured = [settings["steps"], measured]
    settings["steps"].blur(None, steps_and_measured, measured, js=_OFTEN_ENOUGH, **at_once)
    for field in ("steps", "batch_size", *PREFERENCES, *ADVANCED):
        settings[field].blur(steering.needed, [pace, *asked], buttons["run"], **to_last)
    start, leave = known("start", steering.start), known("leave", steering.leave)
    for name in ("run", "queue"):
        buttons[name].click(start, [pace, *asked], [live, complaints], **at_once)
    buttons["leave"].click(leave, **at_once)
    shown = {"js": _WITH_SHOWN}
    pace.input(known("slow", steering.slow), [pace, live], **to_last, **shown)
    pace.input(steering.needed, [pace, *asked], buttons["run"], **to_last)
    for name in ("pause", "resume", "step", "stop"):
        steered = known(name, partial(steering.command, name))
        buttons[name].click(steered, live, **at_once, **shown)
    rate = settings["learning_rate"]
    for field, turned in (
        ("beta", settings["beta"].release),
        ("learning_rate", rate.submit),
        ("learning_rate", rate.blur),
    ):
        told_by = [*choices, settings[field], live]
        turned(
            known("turn", partial(steering.turn, field)), told_by, complaints, **to_last, **shown
        )
    return asked


def _settings(
    steering: Steering, words: dict[str, Any]
) -> tuple[list[gr.Radio], list[gr.HTML], dict[str, Any]]:
    """The two choices, the explanation under each, and every setting by its name."""
    labels = words["controls"]
    told_task, told_method, beta, *others, _ = steering.choose(FIRST_TASK, FIRST_METHOD)
    first = dict(zip(SETTINGS[1:], others, strict=True))
    choices, explanations, settings = [], [], {}
    for field, names, value, told in (
        ("task", BUILT_IN, FIRST_TASK, told_task),
        ("method", methods(), FIRST_METHOD, told_method),
    ):
        options = [(words[f"{field}s"][name]["name"], name) for name in names]
        choices.append(
            gr.Radio(options, value=value, label=labels[field], elem_id=f"field-{field}")
        )
        explanations.append(gr.HTML(told, elem_classes="explanation"))
    settings["beta"] = part(
        "field-beta",
        _BETA,
        "train/beta",
        value=beta["value"],
        zero=beta["zero"],
        range=optimum.BETAS,
        words=labels,
    )

    def number(field: str) -> gr.Number:
        return gr.Number(
            first[field]["value"],
            visible=first[field]["visible"],
            label=labels[field],
            min_width=60,
            elem_id=f"field-{field}",
        )

    with gr.Row(elem_id="numbers", elem_classes="numbers"):
        settings |= {field: number(field) for field in NUMBERS}
    with gr.Row(elem_id="preferences", elem_classes="numbers"):
        settings |= {field: number(field) for field in PREFERENCES}
        settings["coverage"] = coverage(first, words)
    with (
        gr.Accordion(labels["advanced"], open=False, elem_id="advanced"),
        gr.Row(elem_classes="numbers"),
    ):
        settings |= {field: number(field) for field in ADVANCED}
        settings["reward_model"] = gr.Radio(
            first["reward_model"]["choices"],
            value=first["reward_model"]["value"],
            visible=first["reward_model"]["visible"],
            label=labels["reward_model"],
            elem_id="field-reward_model",
        )
        settings["pair_source"] = pair_source(first, words)
        settings["whiten_advantages"] = whiten_advantages(first, words)
    return choices, explanations, settings


def _buttons(labels: dict[str, Any]) -> dict[str, gr.Button]:
    """All of them: which are to be seen is a matter of the run's status, and of controls.css."""
    return {
        name: gr.Button(
            labels[name], elem_id=name, variant="primary" if name == "run" else "secondary"
        )
        for name in ("run", "queue", "leave", "pause", "resume", "step", "stop")
    }


def _pace(labels: dict[str, Any]) -> gr.Radio:
    paces = list(zip(labels["paces"], PACES, strict=True))
    return gr.Radio(paces, value=PACES[0], label=labels["pace"], elem_id="field-pace")
