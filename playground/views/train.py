"""The Train view: settings on the left; status, frontier, live curves and texts on the right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr

from align_core.config.methods import methods
from align_core.runs.client import Client
from playground.content import charts, optimum, tasks
from playground.handlers import links
from playground.handlers.form import (
    ADVANCED,
    FIRST_METHOD,
    FIRST_TASK,
    NUMBERS,
    PREFERENCES,
    SETTINGS,
)
from playground.handlers.long_polling import LongPoll
from playground.handlers.train import PACES, TrainHandlers
from playground.people.requests import with_named_values, with_visitor
from playground.people.run_queue import RunQueue
from playground.people.visitors import Visitor
from playground.views import presets
from playground.views.choices import coverage, pair_source, reward_model, whiten_advantages
from playground.views.parts import PLOTLY_HEAD, classic_part, part

Known = Callable[..., Callable[..., Any]]  # `requests.with_visitor`, of the visitors of this page
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


def build(
    page: gr.Blocks, client: Client, words: dict[str, Any], queue: RunQueue
) -> dict[str, gr.Component]:
    """Lay the view out in `page`, which is being built, and wire it to `client` and its `line`.

    Returns what holds the task, the method and the SETTINGS, by their names.
    """
    handlers = TrainHandlers(client, words, queue)
    known = partial(with_visitor, queue.visitors)
    settings, controls = _lay_out(page, handlers, words, queue, known)
    _wire(page, handlers, queue, known, settings, controls)
    return settings


def _lay_out(
    page: gr.Blocks, handlers: TrainHandlers, words: dict[str, Any], queue: RunQueue, known: Known
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings by their names, and all that the handlers read or change by theirs."""
    long_poll = LongPoll(handlers.has_news)
    followed = known("delta", handlers.delta_with_standing)

    # Gradio marks what it serves, which no method allows.
    def enter(request: gr.Request, key: Any) -> bool:
        visitor = queue.visitors.from_cookies(request.cookies)
        return queue.visitors.become_presenter(visitor, key, request.client.host)

    async def delta(request: gr.Request, cursor: dict[str, Any]) -> dict[str, Any]:
        run, offset = cursor.get("run"), cursor.get("offset")
        if isinstance(run, str) and isinstance(offset, int):
            await long_poll.wait((run, offset))
        return await asyncio.to_thread(followed, request, cursor)

    def curves(name: str, drawn: dict[str, Any]) -> None:
        classic_part(
            name,
            _CHARTS,
            "charts/plotting",
            "charts/charts",
            words=words["charts"],
            charts=drawn,
            head=PLOTLY_HEAD,
        )

    with gr.Row(elem_id="train"):
        with gr.Column(elem_id="controls", scale=0, min_width=300):
            settings, explanations = _settings(handlers, words)
            with gr.Row(elem_id="buttons"):
                complaints = classic_part(
                    "complaints", "<ul></ul>", "train/complaints", value=[], fields=list(SETTINGS)
                )
                buttons = _buttons(words["controls"] | words["visitors"]["buttons"])
            classic_part(
                "visit",
                _VISIT,
                "train/visit",
                server_functions=[known("share", handlers.share), enter],
                words=words["visitors"],
                limit=queue.time_limit,
            )
            part("fold", _FOLD, "train/fold", words=words["controls"])
            pace = _pace(words["controls"])
        with gr.Column(elem_id="stage", scale=1):
            preset = presets.strip(handlers.recordings, words["presets"])
            live = classic_part(
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
            votes = classic_part(
                "trained_on", _TRAINED_ON, "train/trained_on", words=words["trained_on"]
            )
            with gr.Row(elem_id="pictures"):
                picture = classic_part(
                    "frontier",
                    _FRONTIER,
                    "core/newest",
                    "charts/plotting",
                    "charts/trade",
                    "train/frontier",
                    value={"task": FIRST_TASK, "method": FIRST_METHOD},
                    server_functions=[optimum.frontier, optimum.target],
                    words=words["frontier"],
                    head=PLOTLY_HEAD,
                )
                curves("charts", charts.BESIDE)
            classic_part("story", _STORY, "train/story")
            classic_part(
                "samples",
                _SAMPLES,
                "core/shading",
                "train/samples",
                words=words["samples"],
                shading=words["shading"] | words["samples"],
            )
            curves("own", charts.BELOW)
    shown = {"pace": pace, "preset": preset, "live": live, "votes": votes, "picture": picture}
    return settings, settings | explanations | buttons | shown | {"complaints": complaints}


def _wire(
    page: gr.Blocks,
    handlers: TrainHandlers,
    queue: RunQueue,
    known: Known,
    settings: dict[str, Any],
    controls: dict[str, Any],
) -> None:
    """Connect the controls to the handlers, which speak of both by their names."""

    named = partial(with_named_values, queue.visitors, controls)

    def some(*names: str) -> set[Any]:
        return {controls[name] for name in names}

    def adopt(asked: dict[str, Any], visitor: Visitor) -> dict[str, Any]:
        return handlers.restore(watched=asked["votes"], visitor=visitor)

    def restore(request: gr.Request) -> dict[Any, Any]:
        visitor = queue.visitors.from_cookies(request.cookies)
        answer = handlers.restore(links.read(request.query_params), visitor=visitor)
        return {controls[name]: value for name, value in answer.items()}

    # Gradio hands a set over in the order in which its components were made.
    assert all(controls["live"]._id > settings[name]._id for name in settings)
    assert controls["live"]._id > controls["pace"]._id  # `_WITH_SHOWN` takes it for the last
    # TrainHandlers waits behind nobody's queued events, and lays no veil over what it updates.
    at_once: dict[str, Any] = {
        "queue": False,
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    # While an answer is awaited Gradio would pass over a second choice; its last one counts.
    to_last = {**at_once, "trigger_mode": "always_last"}
    run, live, pace, votes = (controls[name] for name in ("run", "live", "pace", "votes"))
    shown = some(*settings, "task_explanation", "method_explanation", "picture")
    asked, needed = some("pace", *settings), named("needed", handlers.run_label)

    loaded = page.load(restore, None, shown, **at_once)
    choices = some("task", "method")
    chosen = [
        choice.input(named("choose", handlers.choose), choices, shown - choices, **to_last)
        for choice in choices
    ]
    preset = controls["preset"]
    played = preset.select(named("play", handlers.play), {preset}, shown | {live}, **at_once)
    adopted = votes.select(named("adopt", adopt), {votes}, shown, **at_once)
    loaded.then(js="() => { document.body.dataset.settled = true; }", **at_once)
    for settled in (loaded, played, adopted, *chosen):
        settled.then(needed, asked, run, **to_last)
    steps, measured = settings["steps"], settings["eval_every"]
    steps.blur(None, [steps, measured], measured, js=_OFTEN_ENOUGH, **at_once)
    for field in ("steps", "batch_size", *PREFERENCES, *ADVANCED):
        settings[field].blur(needed, asked, run, **to_last)
    for name in ("run", "queue"):
        start = named("start", handlers.start)
        controls[name].click(start, asked, some("live", "complaints"), **at_once)
    controls["leave"].click(known("leave", handlers.leave), **at_once)
    pace.input(named("slow", handlers.set_pace), some("pace", "live"), **to_last, js=_WITH_SHOWN)
    pace.input(needed, asked, run, **to_last)
    for name in ("pause", "resume", "step", "stop"):
        steered = known(name, partial(handlers.command, name))
        controls[name].click(steered, live, **at_once, js=_WITH_SHOWN)
    rate = settings["learning_rate"]
    for field, turned in (
        ("beta", settings["beta"].release),
        ("learning_rate", rate.submit),
        ("learning_rate", rate.blur),
    ):
        turn = named("turn", partial(handlers.set_live, field))
        given = some("task", "method", field, "live")
        turned(turn, given, controls["complaints"], **to_last, js=_WITH_SHOWN)


def _settings(
    handlers: TrainHandlers, words: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, gr.HTML]]:
    """Task, method and every setting by its name; and the explanations under the first two."""
    labels = words["controls"]
    first = handlers.choose({"task": FIRST_TASK, "method": FIRST_METHOD})
    settings, explanations = {}, {}
    for field, names, value in (
        ("task", tasks.available(), FIRST_TASK),
        ("method", methods(), FIRST_METHOD),
    ):
        options = [(words[f"{field}s"][name]["name"], name) for name in names]
        settings[field] = gr.Radio(
            options, value=value, label=labels[field], elem_id=f"field-{field}"
        )
        explanation = f"{field}_explanation"
        explanations[explanation] = gr.HTML(first[explanation], elem_classes="explanation")
    settings["beta"] = classic_part(
        "field-beta",
        _BETA,
        "train/beta",
        value=first["beta"]["value"],
        zero=first["beta"]["zero"],
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
        settings["reward_model"] = reward_model(first, words)
        settings["pair_source"] = pair_source(first, words)
        settings["whiten_advantages"] = whiten_advantages(first, words)
    return settings, explanations


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
