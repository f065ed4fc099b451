"""What a run's log tells so far: sentences on its curves, and the time that is left.

Every page that watches a run asks for the same; a log is read once, and on from there.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import lru_cache
from typing import Any

from align_core.config.task_card import BUILT_IN, card
from align_core.runs import events as log
from align_core.runs.client import Client
from align_core.runs.durations import time_left
from playground.content import optimum
from playground.content.readings import readings, told
from playground.content.readings.measures import Frontier, Target

UNUSED_KINDS = {"samples", "token"}  # kinds that no rule needs, and that are long
KEPT = 16  # runs; a page watches one, and few pages look at old ones


class Summaries:
    """The stories of the runs of `client`. Threads may share them."""

    def __init__(self, client: Client, words: dict[str, Any]) -> None:
        self._client = client
        self._words = words["readings"]
        self._unnamed = words["complaints"]["says"]["unnamed_task"]
        self._kept: OrderedDict[str, _Summary] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, run: str) -> dict[str, Any]:
        """`told`: [tone, sentence] pairs, the most important first; `left`: seconds, or None."""
        with self._lock:
            story = self._kept.setdefault(run, _Summary())
            self._kept.move_to_end(run)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            events, story.offset = self._client.events(run, story.offset)
            if events:
                story.events += [event for event in events if event["kind"] not in UNUSED_KINDS]
                story.answer = self.tell(self._client.config(run), story.events)
            return story.answer

    def tell(self, config: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, Any]:
        """The same, of any run's events so far; those of UNUSED_KINDS kinds are not needed."""
        newest = log.status(events)
        status = newest and {"name": newest["status"], "message": newest["message"]}
        changes = log.of_kind(events, "change")
        since = max((event["step"] for event in changes if "beta" in event["settings"]), default=0)
        now = log.turned(config, events)
        target, limit = _target(now["task"], now["beta"]), _limit(now["task"], now["model"])
        found = [
            (reading.tone, told(reading, self._words))
            for reading in readings(now, log.series(events), status, target, since, limit)
        ]
        if card(config["task"]) is None:
            found.insert(0, ("warning", self._unnamed.format(task=config["task"])))
        return {"told": found, "left": time_left(config, events)}


@lru_cache(maxsize=64)  # asked at each step of a run, whose β hardly ever changes
def _target(task: str, beta: float | None) -> Target | None:
    if not beta or task not in BUILT_IN:
        return None
    target = optimum.of_task(task)
    place = target.place(beta)
    if not place["known"]:
        return None
    return Target(place["gain"], place["kl"])


def _limit(task: str, model: str) -> Frontier | None:
    whole = optimum.full_gain({"task": task, "model": model})
    return whole and Frontier(whole, optimum.of_task(task).frontier["curve"])


class _Summary:
    """How far a log was read, what of it the rules need, and what they made of it."""

    def __init__(self) -> None:
        self.offset = 0
        self.events: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"told": [], "left": None}
