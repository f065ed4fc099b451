"""The Train view: settings on the left; status, frontier, charts and texts on the right."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import gradio as gr
from gradio.routes import ORJSONResponse
from starlette.responses import Response

from align_core.runs.client import Client
from playground.content import charts, optimum
from playground.content.page_names import page_name
from playground.handlers import links
from playground.handlers.form import ADVANCED, FIRST_METHOD, PREFERENCES, SETTINGS, first_task
from playground.handlers.long_polling import LongPoll
from playground.handlers.mixtures import SHARES
from playground.handlers.new_events import valid_cursor
from playground.handlers.train import TrainHandlers
from playground.people.client_address import client_address
from playground.people.requests import as_shown, with_named_task, with_named_values, with_visitor
from playground.people.run_queue import RunQueue
from playground.people.threads import Threads, picture_threads
from playground.people.visitors import Visitor
from playground.settings import Settings
from playground.views import own_task, presets, setting_controls, visit
from playground.views import train_templates as templates
from playground.views.parts import PLOTLY_HEAD, part

UPDATE_THREADS = 8  # for all pages in one language
Bind = Callable[..., Callable[..., Any]]  # `requests.with_visitor` with its visitors
# Replaces the last value by the run that the page shows.
_WITH_SHOWN = "(...values) => [...values.slice(0, -1), window.playground.run?.name ?? null]"
# Lowers `eval_every` so that a short run has five evaluations. The browser computes it, because Run
# may be pressed immediately afterwards.
_EVAL_EVERY = """(steps, every) =>
  steps >= 1 && every > steps / 5 ? Math.max(1, Math.floor(steps / 5)) : every"""
_PICTURE = "(task, method, loss) => ({ task, method, loss })"
# Functions of static/core/settings.js.
_ASK = "(...values) => window.settings.ask('%s', values)"
_HAVE = "() => window.settings.have('%s')"
_CHANGED = "() => window.settings.changed()"
WHEN_COMPLETE = "() => window.settings.complete()"
# The values of the live view and of the list of errors if a press of Run gets no answer.
_LOST = "() => [{ run: null, pressed: performance.now() }, [['', %s]]]"


def build(
    page: gr.Blocks,
    client: Client,
    words: dict[str, Any],
    queue: RunQueue,
    server: Settings,
    mixture: Callable[..., Any],
) -> dict[str, gr.Component]:
    """Lay out the view in `page`, with the server function `mixture`; returns the controls of the
    task, the method and the SETTINGS, by name.
    """
    handlers = TrainHandlers(client, words, queue)
    bind = partial(with_visitor, queue.visitors)
    settings, controls = _lay_out(page, handlers, words, queue, bind, server, mixture)
    _connect(page, handlers, queue, bind, settings, controls, words["try"]["lost"])
    return settings


def _lay_out(
    page: gr.Blocks,
    handlers: TrainHandlers,
    words: dict[str, Any],
    queue: RunQueue,
    bind: Bind,
    server: Settings,
    mixture: Callable[..., Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The controls of the settings by name, and all controls that handlers read or change."""
    updates = Threads("updates", UPDATE_THREADS)
    long_poll = LongPoll(handlers.live.end_offset, updates)
    pictures = picture_threads()

    def picture_of(query: Callable[[Any], Any]) -> Callable[..., Any]:
        return pictures.serve(with_named_task(queue.visitors, query))

    news = bind("new_events", handlers.live.new_events)

    def read_events(request: gr.Request, cursor: dict[str, Any]) -> Response:
        # A response, because FastAPI would convert each value of a dict in the event loop.
        return ORJSONResponse(news(request, cursor))

    def trail(request: gr.Request, run: Any) -> dict[str, Any] | None:
        return handlers.live.recordings.trail(run)

    # Gradio sets attributes on the functions that it serves, which bound methods do not allow.
    async def sign_in(request: gr.Request, key: Any) -> bool:
        visitors, sender = queue.visitors, client_address()
        await asyncio.sleep(visitors.presenters.begin_attempt(sender))
        return visitors.presenters.sign_in(visitors.sender(request), key, sender)

    async def new_events(request: gr.Request, sent: Any) -> Response:
        cursor = valid_cursor(sent)
        if cursor["run"] is not None and cursor["offset"] is not None:
            await long_poll.wait(cursor["run"], cursor["offset"])
        return await updates.run(read_events, request, cursor)

    def curves(name: str, drawn: dict[str, Any], **props: Any) -> None:
        part(
            name,
            templates.CHARTS,
            "charts/charts",
            words=words["charts"],
            saving=words["saving"],
            charts=drawn,
            head=PLOTLY_HEAD,
            **props,
        )

    texts = {"words": words["samples"], "shading": words["shading"] | words["samples"]}
    texts["races"] = words["presets"]["races"]
    with gr.Row(elem_id="train"):
        with gr.Column(elem_id="controls", scale=0, min_width=300):
            settings, explanations = setting_controls.settings(handlers, words)
            reset = part(
                "reset", templates.RESET, "train/reset", events=("press",), words=words["reset"]
            )
            with gr.Row(elem_id="buttons"):
                errors = part(
                    "errors", "<ul></ul>", "train/errors", value=[], fields=list(SETTINGS)
                )
                buttons = setting_controls.buttons(words["controls"] | words["visitors"]["buttons"])
            visit.build([bind("share", handlers.share), sign_in], words, server)
            part("fold", templates.FOLD, "train/fold", words=words["controls"])
            pace = setting_controls.pace(words["controls"])
        with gr.Column(elem_id="stage", scale=1):
            own = own_task.build(words, queue)
            live = part(
                "live",
                templates.LIVE,
                "train/live",
                events=("pause", "resume", "changed"),
                value={"run": None},
                server_functions=[new_events],
                words={
                    name: words[name]
                    for name in ("status", "methods", "tasks", "presets", "visitors")
                },
            )
            votes = part(
                "trained_on",
                templates.TRAINED_ON,
                "train/trained_on",
                events=("select",),
                words=words["trained_on"],
            )
            with gr.Row(elem_id="pictures"):
                picture = part(
                    "frontier",
                    templates.FRONTIER,
                    "train/frontier",
                    value={"task": page_name(first_task()), "method": FIRST_METHOD, "loss": None},
                    server_functions=[picture_of(optimum.frontier), picture_of(optimum.target)],
                    words=words["frontier"],
                    ghost=presets.ghost_words(words),
                    races=words["presets"]["races"],
                    saving=words["saving"],
                    head=PLOTLY_HEAD,
                )
                part("example", templates.EXAMPLE, "train/example", **texts)
                part(
                    "mixture",
                    templates.MIXTURE,
                    "train/mixture",
                    server_functions=[mixture],
                    words=words["try"] | words["mixture"],
                    shares=SHARES,
                    models=handlers.live.recordings.with_model(),
                )
                part(
                    "readings",
                    templates.READINGS,
                    "train/readings",
                    words=words["status"],
                    presets=words["presets"],
                    race=words["race"],
                )
                preset = presets.strip(handlers.live.recordings, pictures.serve(trail), words)
                curves("charts", charts.BESIDE)
            part("samples", templates.SAMPLES, "train/samples", **texts)
            curves("own", charts.BELOW, part=charts.PART)
    shown = {"pace": pace, "own": own, "preset": preset, "live": live}
    shown |= {"votes": votes, "picture": picture, "reset": reset}
    return settings, settings | explanations | buttons | shown | {"errors": errors}


def _connect(
    page: gr.Blocks,
    handlers: TrainHandlers,
    queue: RunQueue,
    bind: Bind,
    settings: dict[str, Any],
    controls: dict[str, Any],
    lost: str,
) -> None:
    """Connect the controls to the handlers, which take and return values by name. `lost` is shown
    for a press of Run that the server does not answer."""

    by_name = partial(with_named_values, queue.visitors, controls)

    def subset(*names: str) -> set[Any]:
        return {controls[name] for name in names}

    def adopt(values: dict[str, Any], visitor: Visitor) -> dict[str, Any]:
        return handlers.restore(watched=values["votes"], visitor=visitor)

    def restore(request: gr.Request) -> dict[Any, Any]:
        visitor = queue.visitors.sender(request)
        query = dict(request.query_params)
        if "task" in query:
            query["task"] = queue.visitors.own.full_name(visitor, query["task"])
        linked = links.read(query)
        values = handlers.restore(linked, visitor=visitor)
        if linked and (errors := handlers.link_errors(query, linked)):
            values["errors"] = errors
        values = as_shown(queue.visitors, visitor, values)
        return {controls[name]: value for name, value in values.items()}

    # Gradio passes the values of a set in the order in which its components were created.
    assert all(controls["live"]._id > settings[name]._id for name in settings)
    assert controls["live"]._id > controls["pace"]._id  # `_WITH_SHOWN` replaces the last value
    # No event waits in Gradio's queue or covers its outputs with a progress display.
    at_once: dict[str, Any] = {
        "queue": False,
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    # While a call is in progress, Gradio drops further events. With this, it runs the last one.
    to_last = {**at_once, "trigger_mode": "always_last"}
    run, live, pace, votes = (controls[name] for name in ("run", "live", "pace", "votes"))
    shown = subset(*settings, "task_explanation", "method_explanation", "picture")
    inputs, label_run = subset("pace", *settings), by_name("run_label", handlers.run_label)

    choices, preset = [settings["task"], settings["method"]], controls["preset"]
    loaded = page.load(restore, None, shown | subset("errors"), **at_once)
    # One listener for both, because with two the answer to the earlier event could arrive last.
    choose, changed = by_name("choose", handlers.choose), [choice.input for choice in choices]
    chosen_now = {"inputs": {*choices}, "outputs": shown - subset("task"), "js": _ASK % "choose"}
    chosen = gr.on(changed, choose, **chosen_now, **to_last)
    renewed = controls["own"].renewed(choose, **chosen_now, **to_last)
    play, follow = by_name("play", handlers.play), by_name("adopt", adopt)
    to_defaults = by_name("reset", handlers.reset)
    played = preset.select(play, {preset}, shown | {live}, js=_ASK % "play", **at_once)
    reset = controls["reset"].press(to_defaults, {votes}, shown, js=_ASK % "reset", **at_once)
    adopted = votes.select(follow, {votes}, shown, js=_ASK % "adopt", **at_once)
    answers = [("restore", loaded), ("choose", chosen), ("choose", renewed)]
    for handler, answered in (*answers, ("play", played), ("adopt", adopted), ("reset", reset)):
        for ended in (answered.success, answered.failure):
            ended(js=_HAVE % handler, **at_once)
    # One listener, for the same reason as above: `live` passes on every change of the settings.
    live.changed(label_run, inputs, run, **to_last)
    steps, eval_every = settings["steps"], settings["eval_every"]
    steps.blur(None, [steps, eval_every], eval_every, js=_EVAL_EVERY, **at_once)
    fields = [settings[field].blur for field in ("steps", "batch_size", *PREFERENCES, *ADVANCED)]
    gr.on([*fields, pace.input], js=_CHANGED, **at_once)
    decides = [settings[name] for name in ("task", "method", "loss")]  # which optimum is sought
    settings["loss"].input(None, decides, controls["picture"], js=_PICTURE, **at_once)
    for name in ("run", "queue"):
        start = by_name("start", handlers.start)
        pressed = controls[name].click(js=WHEN_COMPLETE, **at_once)
        started = pressed.then(start, inputs, subset("live", "errors"), **at_once)
        # If no answer came, the page would otherwise say for ever that the run is starting.
        started.failure(
            None, None, [live, controls["errors"]], js=_LOST % json.dumps(lost), **at_once
        )
    controls["leave"].click(bind("leave", handlers.leave), **at_once)
    pace.input(
        by_name("set_pace", handlers.set_pace), subset("pace", "live"), **to_last, js=_WITH_SHOWN
    )
    # The run may obey before the answer arrives, so the next press is sent, too.
    every_press = {**at_once, "trigger_mode": "multiple", "js": _WITH_SHOWN}
    for name in ("pause", "resume", "step", "stop"):
        command = bind(name, partial(handlers.command, name))
        controls[name].click(command, live, **every_press)
        if name in ("pause", "resume"):  # also triggered by a key
            getattr(live, name)(command, live, **every_press)
    rate = settings["learning_rate"]
    for field, changed in (
        ("beta", settings["beta"].release),
        ("learning_rate", rate.submit),
        ("learning_rate", rate.blur),
    ):
        set_live = by_name("set_live", partial(handlers.set_live, field))
        inputs_of_field = subset("task", "method", field, "live")
        changed(set_live, inputs_of_field, controls["errors"], **to_last, js=_WITH_SHOWN)
