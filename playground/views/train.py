"""The Train view: settings on the left; status, frontier, charts and texts on the right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from playground.content import charts, optimum
from playground.content.page_names import page_name
from playground.handlers.form import FIRST_METHOD, SETTINGS, first_task
from playground.handlers.long_polling import new_events
from playground.handlers.mixtures import SHARES, MixtureHandlers
from playground.handlers.sign_in import sign_in
from playground.handlers.train import TrainHandlers
from playground.people.requests import server_functions, with_named_task, with_visitor
from playground.people.threads import Threads, picture_threads
from playground.views import own_task, presets, setting_controls, visit
from playground.views import train_templates as templates
from playground.views.parts import PLOTLY_HEAD, part
from playground.views.shared import Shared
from playground.views.train_events import TrainEvents


def build(page: gr.Blocks, shared: Shared) -> dict[str, gr.Component]:
    """Lay out the view in `page`; returns the controls of the task, the method and the SETTINGS, by
    name."""
    handlers = TrainHandlers(shared.client, shared.words, shared.queue)
    with gr.Row(elem_id="train"):
        with gr.Column(elem_id="controls", scale=0, min_width=300):
            settings, others = _controls(handlers, shared)
        with gr.Column(elem_id="stage", scale=1):
            shown = _stage(handlers, shared)
    events = TrainEvents(handlers, shared.visitors, settings, settings | others | shown)
    events.connect(page, shared.words["try"]["lost"])
    return settings


def _controls(handlers: TrainHandlers, shared: Shared) -> tuple[dict[str, Any], dict[str, Any]]:
    """Lay out the left column; returns the controls of the settings, and all others, by name."""
    words = shared.words
    settings, explanations = setting_controls.settings(handlers, words)
    reset = part("reset", templates.RESET, "train/reset", events=("press",), words=words["reset"])
    with gr.Row(elem_id="buttons"):
        errors = part("errors", "<ul></ul>", "train/errors", value=[], fields=list(SETTINGS))
        buttons = setting_controls.buttons(words["controls"] | words["visitors"]["buttons"])
    share = with_visitor(shared.visitors, "share", handlers.share)
    visit.build([share, sign_in(shared.visitors)], words, shared.server)
    part("fold", templates.FOLD, "train/fold", words=words["controls"])
    pace = setting_controls.pace(words["controls"])
    others = {"reset": reset, "errors": errors, "pace": pace}
    return settings, explanations | buttons | others


def _stage(handlers: TrainHandlers, shared: Shared) -> dict[str, Any]:
    """Lay out the right column; returns the parts that handlers read or change, by name."""
    words, recordings = shared.words, handlers.live.recordings
    pictures = picture_threads()
    own = own_task.build(words, shared.queue)
    live = _live(handlers, shared)
    votes = part(
        "trained_on",
        templates.TRAINED_ON,
        "train/trained_on",
        events=("select",),
        words=words["trained_on"],
    )
    texts = {
        "words": words["samples"],
        "shading": words["shading"] | words["samples"],
        "races": words["presets"]["races"],
    }
    with gr.Row(elem_id="pictures"):
        picture = _frontier(shared, pictures)
        part("example", templates.EXAMPLE, "train/example", **texts)
        _mixture(shared, recordings.with_model())
        part(
            "readings",
            templates.READINGS,
            "train/readings",
            words=words["status"],
            presets=words["presets"],
            race=words["race"],
        )
        preset = presets.strip(recordings, pictures, words)
        _curves("charts", charts.BESIDE, words)
    part("samples", templates.SAMPLES, "train/samples", **texts)
    _curves("own", charts.BELOW, words, part=charts.PART)
    return {"own": own, "live": live, "votes": votes, "picture": picture, "preset": preset}


def _live(handlers: TrainHandlers, shared: Shared) -> gr.HTML:
    """The status of the run, and the timeline of its steps."""
    names = ("status", "methods", "tasks", "presets", "visitors")
    return part(
        "live",
        templates.LIVE,
        "train/live",
        events=("pause", "resume", "changed"),
        value={"run": None},
        server_functions=[new_events(handlers.live, shared.visitors)],
        words={name: shared.words[name] for name in names},
    )


def _frontier(shared: Shared, pictures: Threads) -> gr.HTML:
    """The frontier chart, whose numbers are computed in the threads `pictures`."""
    words = shared.words

    def served(query: Callable[[Any], Any]) -> Callable[..., Any]:
        return pictures.serve(with_named_task(shared.visitors, query))

    return part(
        "frontier",
        templates.FRONTIER,
        "train/frontier",
        value={"task": page_name(first_task()), "method": FIRST_METHOD, "loss": None},
        server_functions=[served(optimum.frontier), served(optimum.target)],
        words=words["frontier"],
        ghost=presets.ghost_words(words),
        races=words["presets"]["races"],
        saving=words["saving"],
        head=PLOTLY_HEAD,
    )


def _mixture(shared: Shared, models: list[str]) -> None:
    """The mixtures of an ended run with its reference; `models` are the recorded runs' models."""
    words, handlers_of = shared.words, shared.handlers_of(MixtureHandlers)
    part(
        "mixture",
        templates.MIXTURE,
        "train/mixture",
        server_functions=server_functions(
            handlers_of, MixtureHandlers.mixture, threads=shared.questions
        ),
        words=words["try"] | words["mixture"],
        shares=SHARES,
        models=models,
    )


def _curves(name: str, drawn: dict[str, Any], words: dict[str, Any], **props: Any) -> None:
    """The charts of each method's curves, `drawn`."""
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
