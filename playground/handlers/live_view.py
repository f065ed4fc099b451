"""The live view of a run: its events, and what the visitor may do with it."""

from __future__ import annotations

import contextlib
import math
from typing import Any

from align_core.config.errors import ConfigError
from align_core.runs.client import Client
from playground.content.new_events import Cursor, translated_delta
from playground.content.recordings import Recordings
from playground.content.repeating import repeating
from playground.content.summaries import Summaries
from playground.handlers.run_to_show import RunToShow
from playground.people.run_queue import RunQueue
from playground.people.visitors import Visitor
from playground.text import durations, error_messages
from playground.voting import provenance


class LiveView:
    """Handlers of the live view. They validate the requests of visitors.

    `recordings` are the recorded runs, and `run_to_show` decides which run a page shows.
    """

    def __init__(self, client: Client, words: dict[str, Any], queue: RunQueue) -> None:
        self._client = client
        self._words = words
        self._queue = queue
        self._visitors = queue.visitors
        self._summaries = Summaries(client, words)
        self.recordings = Recordings(self._summaries)
        self.run_to_show = RunToShow(client, self._visitors, self.recordings)

    def end_offset(self, run: str) -> float:
        """The byte offset at the end of this run's events, for pages that show the run; infinite if
        `delta` may answer with another run."""
        if run in self.recordings or any(other != run for other in self._client.live()):
            return math.inf
        try:
            return self._client.end_offset(run)
        except ConfigError:  # the run was deleted
            return math.inf

    def delta(self, cursor: Cursor, visitor: Visitor = None) -> dict[str, Any]:
        """The events of a run after `cursor`: the `run` and `offset` of a new cursor,
        `charts.delta`, and the run's `summary` (`Summaries.of`) if there are new events.

        `run` is None if there is nothing to show; `RunToShow` has the rules. A page that waits for
        its turn gets its queued run, even if that has ended already. A run that is new to the page
        is sent from its beginning, with `config` and `trained_on` (`provenance.trained_on`).
        """
        begun = self._queue.last_begun(visitor) if cursor.waits else None
        chosen = begun is not None or cursor.chosen
        run = self.run_to_show(visitor, begun or cursor.run, chosen)
        if run is None:
            return {"run": None}
        if run in self.recordings:
            return self.recordings.delta(run, cursor)
        try:
            return self._stored_delta(run, cursor, visitor)
        except ConfigError:  # deleted since
            return {"run": None}

    def _stored_delta(self, run: str, cursor: Cursor, visitor: Visitor) -> dict[str, Any]:
        """`delta` of a run on the disk. Raises ConfigError if there is no such run."""
        self.run_to_show.remember(visitor, run)
        config, votes, offset = None, None, cursor.offset
        if run != cursor.run or offset is None:
            config, offset = self._client.config(run), 0
            votes = provenance.trained_on(self._client, config)
            config = self._visitors.page_config(visitor, config)
            self._client.status(run)  # appends a final status if the run's process is gone
        events, offset = self._client.events(run, offset)
        summary = self._summaries.of(run) if events else None
        if summary and summary["time_left"] is not None:
            summary = {
                **summary,
                "time_left": durations.duration(summary["time_left"], self._words),
            }
        delta = translated_delta(events, self._words)
        new_cursor = {"run": run, "offset": offset}
        return {**new_cursor, "config": config, "trained_on": votes, "summary": summary, **delta}

    def new_events(self, cursor: Cursor, visitor: Visitor = None) -> dict[str, Any]:
        """`delta`, the `visitor_state` as `standing`, and, if `delta` has a `config`, the texts of
        `repeating` as `repeat`."""
        delta = self.delta(cursor, visitor)
        self._queue.note_request(visitor, cursor.hidden)
        if cursor.presents:
            self._visitors.present(visitor)
        config = delta.get("config")
        texts = {"repeat": repeating(config)} if config else {}
        return {**delta, **texts, "standing": self.visitor_state(delta["run"], visitor)}

    def visitor_state(self, run: str | None, visitor: Visitor = None) -> dict[str, Any]:
        """The visitor's rights to the `run` that their page shows, and their position in the queue.

        own:       the visitor's live run, or None
        steers:    whether they may control `run`
        shared:    whether they share `run`; None if it is not theirs
        files:     whether they may download `run`, which has ended or is recorded
        other:     another live run, which they may watch, as {run, method, task}, or None
        free:      whether a run would start without waiting
        quick_run: the owner of the live quick run of an experiment: "own", "other" or None
        place:     their position in the queue, or None
        wait:      the time until their turn, as text
        refused:   the reasons why their queued run could not start
        presents:  whether they are a presenter
        several:   whether the server has had several visitors
        timed:     whether the speed of this machine is known, so that `run_label` has a duration
        """
        live = self._client.live()
        position = self._queue.position(visitor)
        stored = None if run in self.recordings else run
        wait = ""
        if position:
            wait = durations.wait(position.seconds, position.estimated, self._words)
        errors = self._queue.start_errors(visitor)
        return {
            "own": self.run_to_show.own_live(visitor),
            "steers": run in live and self._visitors.may_control(visitor, run),
            "shared": None if stored is None else self._visitors.shared(visitor, stored),
            "files": run in self.recordings
            or (
                stored is not None
                and stored not in live
                and self._visitors.may_control(visitor, stored)
            ),
            "other": self._another(live, run, visitor),
            "free": self._queue.has_free_slot(),
            "quick_run": self._queue.live_quick_run_owner(visitor),
            "place": position and position.number,
            "wait": wait,
            "refused": [error_messages.translate(message, self._words) for message in errors],
            "presents": visitor in self._visitors.presenters,
            "several": self._visitors.has_several,
            "timed": self._client.knows_machine(),
        }

    def _another(self, live: list[str], run: str | None, visitor: Visitor) -> dict[str, Any] | None:
        """The newest of the `live` runs that is not `run`: its name, method and task."""
        for other in reversed(live):
            if other != run:
                with contextlib.suppress(ConfigError):  # deleted since
                    config = self._visitors.page_config(visitor, self._client.config(other))
                    return {"run": other, "method": config["method"], "task": config["task"]}
        return None
