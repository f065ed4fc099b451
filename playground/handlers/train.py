"""What the controls and the live view ask of the server, for any number of visitors."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any

import gradio as gr

from align_core.config.errors import ConfigError, flag
from align_core.config.messages import Message
from align_core.config.run_config import has
from align_core.config.task_card import card
from align_core.runs.client import Client
from align_core.runs.events import turned
from playground.content import charts
from playground.content.recordings import FIRST, PREFIX, Recordings
from playground.content.summaries import Summaries
from playground.handlers import form
from playground.people.run_queue import AlreadyHasRun, RunQueue
from playground.people.visitors import Visitor, Visitors
from playground.text import complaints, durations, messages
from playground.voting import provenance

PACES = (0.0, 0.5, 2.0)  # seconds between two steps
WATCHING = 1000  # visitors of whom the run they last watched is remembered


class TrainHandlers:
    """Handlers of the Train view. What a visitor sends is checked here or by the client.

    All pages of a server share one `line`; `visitor` is who asks, None a browser without a token.
    """

    def __init__(
        self, client: Client, words: dict[str, Any], queue: RunQueue | None = None
    ) -> None:
        self._client = client
        self._queue = queue or RunQueue(client, Visitors(client))
        self._visitors = self._queue.visitors
        self._watched: OrderedDict[Visitor, str] = OrderedDict()
        self._words = words
        self._summaries = Summaries(client, words)
        self.recordings = Recordings(self._summaries)

    def choose(self, asked: dict[str, Any], visitor: Visitor = None) -> dict[str, Any]:
        """A `task` or `method` was chosen: `form.controls` of its defaults."""
        return form.controls(form.default_config(asked["method"], asked["task"]), self._words)

    def restore(
        self,
        linked: dict[str, Any] | None = None,
        watched: str | None = None,
        visitor: Visitor = None,
    ) -> dict[str, Any]:
        """A page was opened, or a run of its visitor began by itself: task, method and
        `form.controls` of the configuration that its address links to, or of the run that it is
        going to show, as they were turned last."""
        run = self._shown(visitor, watched, chosen=True)
        if linked is not None:
            config = linked
        elif run is None:
            config = form.default_config(form.FIRST_METHOD, form.FIRST_TASK)
        elif run in self.recordings:
            config = self.recordings.config(run)
        else:
            config = turned(self._client.config(run), self._client.events(run)[0])
            if card(config["task"]) is None:  # its code was not named: no control can hold it
                config = form.default_config(config["method"], form.FIRST_TASK)
        chosen = {name: config[name] for name in ("task", "method")}
        return {**chosen, **form.controls(config, self._words)}

    def play(self, asked: dict[str, Any], visitor: Visitor = None) -> dict[str, Any]:
        """A `preset` was chosen: its recorded run, for the page to follow, and its settings."""
        run = f"{PREFIX}{asked['preset']}"
        followed = {"run": run, "pressed": time.time()}
        return {"live": followed, **self.restore(watched=run, visitor=visitor)}

    def start(self, asked: dict[str, Any], visitor: Visitor = None) -> dict[str, Any]:
        """Run was pressed, at a `pace`: the run that began (None: it waits in line), and the
        complaints.

        A complaint is [field, line]; its field is "" where it is about none in particular.
        """
        run, refused = None, []
        try:
            run = self._queue.join(visitor, form.options(asked), asked["pace"])
        except ConfigError as error:
            refused = [self._complaint(line) for line in error.lines]
        except AlreadyHasRun:
            refused = [["", self._words["visitors"]["one_each"]]]
        return {"live": {"run": run, "pressed": time.time()}, "complaints": refused}

    def run_label(self, asked: dict[str, Any], visitor: Visitor = None) -> dict[str, Any]:
        """What stands on the Run button: how long it will take at this pace, where a run like it is
        known."""
        label = self._words["controls"]["run"]
        try:
            limited = self._queue.with_time_limit(form.options(asked))
            seconds = self._client.estimate(delay=asked["pace"], **limited)
        except ConfigError:  # reported when it is run
            seconds = None
        if seconds is not None:
            label = self._words["controls"]["run_needs"].format(
                time=durations.duration(seconds, self._words)
            )
        return {"run": gr.update(value=label)}

    def leave(self, visitor: Visitor = None) -> None:
        """The visitor's run is to wait no longer."""
        self._queue.leave(visitor)

    def command(self, name: str, shown: Any = None, visitor: Visitor = None) -> None:
        """Pause, resume, step or stop the visitor's live run; a presenter's is the one `shown`."""
        if run := self._steered(visitor, shown):
            self._client.send(run, name)

    def set_live(
        self, field: str, asked: dict[str, Any], visitor: Visitor = None
    ) -> dict[str, Any]:
        """β or the learning rate was turned: a live run of this task and method takes it.

        `asked` has task, method, the field, and as `live` the run that the page shows.
        """
        run, value = self._steered(visitor, asked["live"]), asked[field]
        refused = []
        if run is not None and value is not None:
            config = self._client.config(run)
            same = all(config[name] == asked[name] for name in ("task", "method"))
            if same and has(asked["method"], field):
                try:
                    self._client.send(run, "set", **{field: value})
                except ConfigError as error:
                    refused = [self._complaint(line) for line in error.lines]
        return {"complaints": refused}

    def set_pace(self, asked: dict[str, Any], visitor: Visitor = None) -> dict[str, Any]:
        """Another `pace` was chosen: the run that is steered takes it at once."""
        if run := self._steered(visitor, asked["live"]):
            self._client.send(run, "set", delay=asked["pace"])
        return {}

    def share(self, asked: Any, visitor: Visitor = None) -> None:
        """Share a run of the visitor's own ({"run", "on"}) with all, or no longer."""
        if isinstance(asked, dict):
            self._visitors.share(visitor, asked.get("run"), asked.get("on") is True)

    def has_news(self, known: tuple[str, int]) -> bool:
        """Whether `delta` may have more to tell a page that knows this run as far as this byte."""
        run, offset = known
        if run in self.recordings or any(other != run for other in self._client.live()):
            return True
        try:
            return self._client.grown(run, offset)
        except ConfigError:  # there is no such run any more
            return True

    def delta(self, cursor: dict[str, Any], visitor: Visitor = None) -> dict[str, Any]:
        """What a log holds past `cursor` ({"run", "offset"}): a new cursor, `charts.delta`, and the
        `story` of the run (`Summaries.of`) where there is more to tell.

        A page follows the visitor's live run, else one that is live; without one it stays with the
        run that it shows. It stays with the visitor's own run, too, and with one that was
        `chosen`, while another visitor's is live. A run that is new to the page comes with its
        `config`, with `trained_on` (`provenance.trained_on`), and from its beginning.
        Where no run was ever made, a recorded one is shown.
        """
        run = self._shown(visitor, cursor.get("run"), cursor.get("chosen") is True)
        if run is None:
            return {"run": None}
        if run in self.recordings:
            return self.recordings.delta(run, cursor)
        self._watch(visitor, run)
        config, votes, offset = None, None, cursor.get("offset")
        if run != cursor.get("run") or not isinstance(offset, int) or offset < 0:
            config, offset = self._client.config(run), 0
            votes = provenance.trained_on(self._client, config)
            config = provenance.without_session(config)
            self._client.status(run)  # of a run whose process is gone the log ends here
        events, offset = self._client.events(run, offset)
        story = self._summaries.of(run) if events else None
        if story and story["left"] is not None:
            story = {**story, "left": durations.duration(story["left"], self._words)}
        found = {"run": run, "offset": offset, "config": config, "trained_on": votes}
        gained = charts.delta(events)
        if status := gained["status"]:
            status["message"] = messages.translate(status, self._words)
            status.pop("cause", None)
        return {**found, "story": story, **gained}

    def delta_with_standing(
        self, cursor: dict[str, Any], visitor: Visitor = None
    ) -> dict[str, Any]:
        """`delta`, and the visitor's `standing` to the run in it."""
        delta = self.delta(cursor, visitor)
        return {**delta, "standing": self.standing(delta["run"], visitor)}

    def standing(self, run: str | None, visitor: Visitor = None) -> dict[str, Any]:
        """How a visitor stands to the `run` that their page shows, and to the line.

        `own`: a live run of theirs; `steers`: whether they may steer the run; `shared`: whether
        they share it, None where it is not theirs; `other`: another live run, to watch; `free`:
        whether a run would begin at once; `trial`: whether one of the lab's experiments is tried,
        "own" or "other"; `place` and `wait` in line.
        """
        live = self._client.live()
        place = self._queue.position(visitor)
        known = run is not None and run not in self.recordings
        return {
            "own": self._own(visitor),
            "steers": run in live and self._visitors.may_control(visitor, run),
            "shared": self._visitors.shared(visitor, run) if known else None,
            "other": next((other for other in reversed(live) if other != run), None),
            "free": self._queue.has_free_slot(),
            "trial": self._queue.live_trial_owner(visitor),
            "place": place and place.number,
            "wait": durations.wait(place.seconds, place.sure, self._words) if place else "",
            "refused": [
                complaints.translate(line, self._words)
                for line in self._queue.start_errors(visitor)
            ],
            "presents": self._visitors.is_presenter(visitor),
            "several": self._visitors.has_several,
        }

    def _shown(self, visitor: Visitor, watched: Any = None, chosen: bool = False) -> str | None:
        if own := self._own(visitor):
            return own
        live = self._client.live()
        if watched in live:
            return watched
        seen = self._visitors.runs(visitor)
        known = watched in seen or watched in self.recordings
        if live:
            mine = [run for run in seen if visitor and self._visitors.owns(visitor, run)]
            kept = next(iter(mine), None) if watched is None else watched
            return kept if kept in mine or (chosen and known) else live[-1]
        if known or (watched is not None and self._watched.get(visitor) == watched):
            return watched
        # Nobody is greeted by what another visitor shared.
        owners = (visitor, None)
        greeting = (run for run in seen if any(self._visitors.owns(one, run) for one in owners))
        return next(greeting, FIRST if FIRST in self.recordings else None)

    def _watch(self, visitor: Visitor, run: str) -> None:
        """Remember what a visitor was shown: of another's run they may see the end, too."""
        self._watched[visitor] = run
        self._watched.move_to_end(visitor)
        if len(self._watched) > WATCHING:
            self._watched.popitem(last=False)

    def _own(self, visitor: Visitor) -> str | None:
        return next((run for run in self._client.live() if self._visitors.owns(visitor, run)), None)

    def _steered(self, visitor: Visitor, shown: Any) -> str | None:
        if shown in self._client.live() and self._visitors.may_control(visitor, shown):
            return shown
        return self._own(visitor)

    def _complaint(self, line: Message) -> list[str]:
        """A line of a ConfigError in the page's words, after the field that it is about."""
        fields = {flag(field): field for field in form.option_names()}
        option = line.values.get("option")
        return [fields.get(option, ""), complaints.translate(line, self._words)]
