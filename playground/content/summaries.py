"""The summary of a run so far: sentences on its curves, and the time left.

Every page that watches a run asks for the same summary, so a log is read once, and after that only
its new events.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from align_core.config.methods import sought_optimum
from align_core.config.task_card import card, is_code
from align_core.runs import events as log
from align_core.runs.client import Client
from align_core.runs.durations import time_left
from playground.content import optimum
from playground.content.readings import readings, sentence
from playground.content.readings.measures import Frontier, Run, Target
from playground.text.paths import without_folders

UNUSED_KINDS = {"samples", "token", "phase", "distance"}  # events that no rule reads
MAX_CACHED = 16  # runs; a page watches one run, and few pages look at old ones


class Summaries:
    """The summaries of the runs of `client`. Thread-safe."""

    def __init__(self, client: Client, words: dict[str, Any]) -> None:
        self._client = client
        self._words = words["readings"]
        self._unnamed = words["errors"]["says"]["unnamed_task"]
        self._cache: OrderedDict[str, _Summary] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, run: str) -> dict[str, Any]:
        """{"sentences": [[tone, sentence], …], most important first, "time_left": s or None}."""
        with self._lock:
            summary = self._cache.setdefault(run, _Summary())
            self._cache.move_to_end(run)
            if len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        with summary.lock:  # other runs do not wait for it
            events, summary.offset = self._client.events(run, summary.offset)
            if used := [event for event in events if event["kind"] not in UNUSED_KINDS]:
                summary.events += used
                summary.content = self.summarise(self._client.config(run), summary.events)
            return summary.content

    def summarise(self, config: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, Any]:
        """The summary of a run with these events, as `of` returns it; those of UNUSED_KINDS may be
        missing."""
        newest, now = log.status(events), log.settings_at(config, events)
        changes = log.of_kind(events, "change")
        beta_steps = (event["step"] for event in changes if "beta" in event["settings"])
        run = Run(
            config=now,
            series=log.series(events),
            status=newest["status"] if newest else "starting",
            target=_target(now),
            frontier=_frontier(now),
            beta_since=max(beta_steps, default=0),
        )
        sentences = [(reading.tone, sentence(reading, self._words)) for reading in readings(run)]
        if is_code(config["task"]) and card(config["task"]) is None:
            line = self._unnamed.format(task=without_folders(config["task"]))
            sentences.insert(0, ("warning", line))
        return {"sentences": sentences, "time_left": time_left(config, events)}


def _target(config: Mapping[str, Any]) -> Target | None:
    """The optimum at the configuration's β, for its model or, if unknown, the task's reference.

    None if it is not known, if there is no β, or if the method seeks something other than the
    highest reward − β·KL.
    """
    if sought_optimum(config) != "kl":
        return None
    task = card(config["task"])
    known = optimum.of_pair(config["task"], config["model"])
    if known is None and task is not None:
        known = optimum.of_pair(config["task"], task.reference)
    if known is None or not config["beta"]:
        return None
    return _at(known, config["beta"])


@lru_cache(maxsize=64)  # needed at each step of a run, while β hardly ever changes
def _at(known: optimum.Optimum, beta: float) -> Target | None:
    point = known.point(beta)
    return Target(point["gain"], point["kl"]) if point["known"] else None


def _frontier(config: Mapping[str, Any]) -> Frontier | None:
    known = optimum.of_pair(config["task"], config["model"])
    if not known or known.frontier["full_gain"] is None:
        return None
    return Frontier(known.frontier["full_gain"], known.frontier["curve"])


@dataclass(slots=True)
class _Summary:
    """The events of a log up to `offset` that the rules need, and their summary."""

    offset: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=lambda: {"sentences": [], "time_left": None})
    lock: threading.Lock = field(default_factory=threading.Lock)
