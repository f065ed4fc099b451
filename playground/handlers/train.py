"""Requests of the controls of the Train view: settings, presets, starts and commands of runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import gradio as gr

from align_core.config.errors import ConfigError, flag
from align_core.config.messages import Message
from align_core.config.model_index import RECORDED
from align_core.config.option_checks import has
from align_core.config.task_card import card
from align_core.runs.client import Client
from align_core.runs.events import settings_at
from playground.content.tasks import EARLIER, OTHERS, OWN
from playground.handlers import form, links
from playground.handlers.live_view import LiveView
from playground.people import log
from playground.people.no_place import NoPlace
from playground.people.run_queue import RunQueue
from playground.people.visitors import Visitor, Visitors
from playground.text import durations, error_messages

PACES = (0.0, 0.5, 2.0)  # seconds between two steps


class TrainHandlers:
    """Handlers of the Train view. They, or the client, validate the requests of visitors.

    All pages of a server share one `queue`. `visitor` is None for a browser without a token.
    """

    def __init__(
        self, client: Client, words: dict[str, Any], queue: RunQueue | None = None
    ) -> None:
        self._client = client
        self._queue = queue or RunQueue(client, Visitors(client))
        self._visitors = self._queue.visitors
        self._words = words
        self.live = LiveView(client, words, self._queue)

    def choose(self, values: dict[str, Any], visitor: Visitor = None) -> dict[str, Any]:
        """A `task` or `method` was chosen. Returns the `form.controls` of its defaults.

        A method for which the task has no data is replaced (`form.offered_method`).
        """
        task, method = values["task"], values["method"]
        if card(task) is None:  # the visitor has not made their own task yet
            controls = self.choose({"task": form.FIRST_TASK, "method": method})
            controls["task_explanation"] = self._words["own"]["explanation"]
            return {**controls, "picture": {**controls["picture"], "task": OWN}}
        offered = form.offered_method(method, task)
        controls = form.controls(form.default_config(offered, task), self._words)
        if offered != method:
            controls["method"]["value"] = offered
        return controls

    def restore(
        self,
        linked: dict[str, Any] | None = None,
        watched: str | None = None,
        visitor: Visitor = None,
    ) -> dict[str, Any]:
        """A page was opened, or a queued run of its visitor began. Returns the task, the method and
        the `form.controls` of a configuration.

        It is the `linked` configuration, from the page's URL, or that of the run that the page will
        show, with its latest values. `watched` is the run that the page shows now.
        """
        run = self.live.run_to_show(visitor, watched, chosen=True)
        if linked is not None:
            config = linked
        elif run is not None and run in self.live.recordings:
            config = self.live.recordings.config(run)
        elif run is None or not self._client.has(run):  # deleted since
            config = form.default_config(form.FIRST_METHOD, form.first_task())
        else:
            config = settings_at(self._client.config(run), self._client.events(run)[0])
            # The task may be unknown to this server, or another visitor's.
            shown = self._visitors.own.page_name(visitor, config["task"])
            if card(config["task"]) is None or shown in (EARLIER, OTHERS):
                config = form.default_config(config["method"], form.first_task())
        controls = form.controls(config, self._words)
        controls["method"]["value"] = config["method"]
        return {"task": config["task"], **controls}

    def open(self, query: Mapping[str, str], visitor: Visitor = None) -> dict[str, Any]:
        """A page was opened, with this `query` in its URL. Returns what `restore` does, and the
        `link_errors` if there are any."""
        if "task" in query:
            query = {**query, "task": self._visitors.own.full_name(visitor, query["task"])}
        linked = links.read(query)
        values = self.restore(linked, visitor=visitor)
        errors = self.link_errors(query, linked) if linked else []
        return {**values, "errors": errors} if errors else values

    def adopt(self, values: dict[str, Any], visitor: Visitor = None) -> dict[str, Any]:
        """The visitor's run on votes began, which was requested in Rate; `votes` is its name.
        Returns what `restore` does for this run."""
        return self.restore(watched=values["votes"], visitor=visitor)

    def reset(self, values: dict[str, Any], visitor: Visitor = None) -> dict[str, Any]:
        """The default settings were requested. Returns what `restore` does."""
        return self.restore(form.default_config(form.FIRST_METHOD, form.first_task()))

    def link_errors(self, query: Mapping[str, str], config: Mapping[str, Any]) -> list[list[str]]:
        """[field, message] for what was replaced when `config` was read from a URL with this
        `query`: an unknown task, and numbers out of range."""
        words, names, errors = self._words["link"], self._words["controls"], []
        if links.replaces_task(query, config):
            errors.append(["task", words["no_task"]])
        if replaced := links.out_of_range(query, config):
            settings = ", ".join(f"{names[name]} {value:.12g}" for name, value in replaced.items())
            errors.append(["", words["out_of_range"].format(settings=settings)])
        return errors

    def play(self, values: dict[str, Any], visitor: Visitor = None) -> dict[str, Any]:
        """A `preset` was chosen. Returns its recorded run, which the page is to follow, and what
        `restore` returns for that run."""
        run = f"{RECORDED}{values['preset']}"
        live = {"run": run, "pressed": time.time()}
        return {"live": live, **self.restore(watched=run, visitor=visitor)}

    def start(self, values: dict[str, Any], visitor: Visitor = None) -> dict[str, Any]:
        """Run was pressed. Returns the run that began, None if it is queued, and the errors.

        An error is [field, message]; the field is "" if the message concerns no field.
        """
        run, refused = None, []
        if card(values["task"]) is None:
            refused = [["task", self._words["own"]["missing"]]]
            return {"live": {"run": None, "pressed": time.time()}, "errors": refused}
        self._visitors.own.touch(visitor)
        try:
            run = self._queue.join(visitor, form.options(values), values["pace"])
        except ConfigError as error:
            refused = [self._field_error(message) for message in error.lines]
            log.refused("run", ",".join(field for field, _ in refused if field) or "invalid")
        except NoPlace as refusal:
            refused = [["", self._words["visitors"][refusal.reason]]]
        return {"live": {"run": run, "pressed": time.time()}, "errors": refused}

    def run_label(self, values: dict[str, Any], visitor: Visitor = None) -> dict[str, Any]:
        """The label of the Run button, with the estimated duration of the run, if there is one."""
        label = self._words["controls"]["run"]
        if card(values["task"]) is None:
            return {"run": gr.update(value=label)}
        try:
            options = self._queue.with_time_limit(form.options(values))
            seconds = self._client.estimate(delay=values["pace"], **options)
        except ConfigError:  # reported when Run is pressed
            seconds = None
        if seconds is not None:
            label = self._words["controls"]["run_needs"].format(
                time=durations.duration(seconds, self._words)
            )
        return {"run": gr.update(value=label)}

    def leave(self, visitor: Visitor = None) -> None:
        """Remove the visitor's run from the queue."""
        self._queue.leave(visitor)

    def command(self, name: str, shown: Any = None, visitor: Visitor = None) -> None:
        """Send pause, resume, step or stop to the run that the visitor controls: the run `shown`
        if they may control it, otherwise their own live run."""
        if run := self._controlled_run(visitor, shown):
            self._client.send(run, name)

    def set_live(
        self, field: str, values: dict[str, Any], visitor: Visitor = None
    ) -> dict[str, Any]:
        """β or the learning rate was changed. Sets it in the controlled run, if that has this task
        and method, and returns the errors. Without such a run the errors on the page stay, because
        they may be the answer to a press of Run.

        `values` has task, method, the field, and as `live` the run that the page shows.
        """
        run, value = self._controlled_run(visitor, values["live"]), values[field]
        if run is None or value is None:
            return {"errors": gr.skip()}
        config = self._client.config(run)
        same = all(config[name] == values[name] for name in ("task", "method"))
        if not same or not has(values["method"], field):
            return {"errors": gr.skip()}
        try:
            self._client.send(run, "set", **{field: value})
        except ConfigError as error:
            return {"errors": [self._field_error(message) for message in error.lines]}
        return {"errors": []}

    def set_pace(self, values: dict[str, Any], visitor: Visitor = None) -> dict[str, Any]:
        """Another `pace` was chosen. Sets it in the controlled run."""
        if run := self._controlled_run(visitor, values["live"]):
            self._client.send(run, "set", delay=values["pace"])
        return {}

    def share(self, values: Any, visitor: Visitor = None) -> None:
        """Share a run of the visitor, {"run", "on"}, with everyone, or stop sharing it."""
        if isinstance(values, dict):
            self._visitors.share(visitor, values.get("run"), values.get("on") is True)

    def _controlled_run(self, visitor: Visitor, shown: Any) -> str | None:
        if shown in self._client.live() and self._visitors.may_control(visitor, shown):
            return shown
        return self.live.run_to_show.own_live(visitor)

    def _field_error(self, message: Message) -> list[str]:
        """[field, text] of a message of a ConfigError, in the page's language."""
        fields = {flag(field): field for field in form.option_names()}
        option = message.values.get("option", "")
        return [fields.get(option, ""), error_messages.translate(message, self._words)]
