"""The events of the Train view: what its controls ask of the server, and in which order."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import gradio as gr

from playground.handlers.form import ADVANCED, PREFERENCES
from playground.handlers.train import TrainHandlers
from playground.people.requests import as_shown, with_named_values, with_visitor
from playground.people.visitors import Visitors

# No event waits in Gradio's queue or covers its outputs with a progress display.
_AT_ONCE: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}
# While a call is in progress, Gradio drops further events. With this, it runs the last one.
_TO_LAST = {**_AT_ONCE, "trigger_mode": "always_last"}
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


class TrainEvents:
    """Connects the controls of the view to its handlers, which take and return values by name.

    `settings` are the controls of the task, the method and the settings, and `controls` are all
    controls that handlers read or change, both by name.
    """

    def __init__(
        self,
        handlers: TrainHandlers,
        visitors: Visitors,
        settings: dict[str, Any],
        controls: dict[str, Any],
    ) -> None:
        self._handlers, self._visitors = handlers, visitors
        self._settings, self._controls = settings, controls
        self._by_name = partial(with_named_values, visitors, controls)
        self._shown = self._subset(*settings, "task_explanation", "method_explanation", "picture")
        # Gradio passes the values of a set in the order in which its components were created.
        live, before_live = controls["live"], [*settings.values(), controls["pace"]]
        assert all(live._id > control._id for control in before_live)  # `_WITH_SHOWN` needs it last

    def connect(self, page: gr.Blocks, lost: str) -> None:
        """Connect all events of the view. `lost` is shown for a press of Run that the server does
        not answer."""
        self._connect_settings(page)
        self._connect_fields()
        self._connect_run(lost)
        self._connect_live_run()

    def _subset(self, *names: str) -> set[Any]:
        return {self._controls[name] for name in names}

    def _connect_settings(self, page: gr.Blocks) -> None:
        """The events that replace all settings, or those of another task or method."""
        handlers, shown, controls = self._handlers, self._shown, self._controls
        preset, votes = controls["preset"], controls["votes"]

        def restore(request: gr.Request) -> dict[Any, Any]:
            visitor = self._visitors.sender(request)
            values = handlers.open(dict(request.query_params), visitor)
            values = as_shown(self._visitors, visitor, values)
            return {controls[name]: value for name, value in values.items()}

        loaded = page.load(restore, None, shown | self._subset("errors"), **_AT_ONCE)
        # One listener for both, because with two the answer to the earlier event could arrive last.
        choices = [self._settings["task"], self._settings["method"]]
        changed = [choice.input for choice in choices]
        choose = self._by_name("choose", handlers.choose)
        inputs, outputs = {*choices}, shown - self._subset("task")
        chosen_now: dict[str, Any] = {"inputs": inputs, "outputs": outputs, "js": _ASK % "choose"}
        chosen = gr.on(changed, choose, **chosen_now, **_TO_LAST)
        renewed = controls["own"].renewed(choose, **chosen_now, **_TO_LAST)
        play, play_outputs = self._by_name("play", handlers.play), shown | self._subset("live")
        played = preset.select(play, {preset}, play_outputs, js=_ASK % "play", **_AT_ONCE)
        adopt = self._by_name("adopt", handlers.adopt)
        adopted = votes.select(adopt, {votes}, shown, js=_ASK % "adopt", **_AT_ONCE)
        reset = self._by_name("reset", handlers.reset)
        to_defaults = controls["reset"].press(reset, {votes}, shown, js=_ASK % "reset", **_AT_ONCE)
        answers = [("restore", loaded), ("choose", chosen), ("choose", renewed)]
        answers += [("play", played), ("adopt", adopted), ("reset", to_defaults)]
        for handler, answered in answers:
            for ended in (answered.success, answered.failure):
                ended(js=_HAVE % handler, **_AT_ONCE)

    def _connect_fields(self) -> None:
        """The events of single fields, and the label of the Run button, which depends on all."""
        settings, controls = self._settings, self._controls
        # One listener, because with two the answer to the earlier event could arrive last: `live`
        # passes on every change of the settings.
        label_run = self._by_name("run_label", self._handlers.run_label)
        inputs = self._subset("pace", *settings)
        controls["live"].changed(label_run, inputs, controls["run"], **_TO_LAST)
        steps, eval_every = settings["steps"], settings["eval_every"]
        steps.blur(None, [steps, eval_every], eval_every, js=_EVAL_EVERY, **_AT_ONCE)
        names = ("steps", "batch_size", *PREFERENCES, *ADVANCED)
        fields = [settings[name].blur for name in names]
        gr.on([*fields, controls["pace"].input], js=_CHANGED, **_AT_ONCE)
        decides = [settings[name] for name in ("task", "method", "loss")]  # which optimum is sought
        settings["loss"].input(None, decides, controls["picture"], js=_PICTURE, **_AT_ONCE)

    def _connect_run(self, lost: str) -> None:
        """The buttons that start a run, or take it out of the queue."""
        controls = self._controls
        start = self._by_name("start", self._handlers.start)
        inputs, outputs = self._subset("pace", *self._settings), self._subset("live", "errors")
        for name in ("run", "queue"):
            pressed = controls[name].click(js=WHEN_COMPLETE, **_AT_ONCE)
            started = pressed.then(start, inputs, outputs, **_AT_ONCE)
            # If no answer came, the page would otherwise say for ever that the run is starting.
            without_answer = _LOST % json.dumps(lost)
            started.failure(
                None, None, [controls["live"], controls["errors"]], js=without_answer, **_AT_ONCE
            )
        leave = with_visitor(self._visitors, "leave", self._handlers.leave)
        controls["leave"].click(leave, **_AT_ONCE)

    def _connect_live_run(self) -> None:
        """The commands to a live run, and its settings that can be changed."""
        handlers, controls, live = self._handlers, self._controls, self._controls["live"]
        set_pace = self._by_name("set_pace", handlers.set_pace)
        inputs = self._subset("pace", "live")
        controls["pace"].input(set_pace, inputs, **_TO_LAST, js=_WITH_SHOWN)
        # The run may react before the answer arrives, so the next press is also sent.
        every_press = {**_AT_ONCE, "trigger_mode": "multiple", "js": _WITH_SHOWN}
        for name in ("pause", "resume", "step", "stop"):
            command = with_visitor(self._visitors, name, partial(handlers.command, name))
            controls[name].click(command, live, **every_press)
            if name in ("pause", "resume"):  # also triggered by a key
                getattr(live, name)(command, live, **every_press)
        rate = self._settings["learning_rate"]
        for field, changed in (
            ("beta", self._settings["beta"].release),
            ("learning_rate", rate.submit),
            ("learning_rate", rate.blur),
        ):
            set_live = self._by_name("set_live", partial(handlers.set_live, field))
            inputs = self._subset("task", "method", field, "live")
            changed(set_live, inputs, controls["errors"], **_TO_LAST, js=_WITH_SHOWN)
