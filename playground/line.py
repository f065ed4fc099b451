"""The line in front of a busy machine: who waits, for how long, and whose run begins next."""

from __future__ import annotations

import contextlib
import heapq
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from align_core.client import Busy, Client
from align_core.configs import ConfigError, resolve
from align_core.estimates import time_left
from align_core.runs import FINAL
from playground.visitors import Visitor, Visitors

LOOK = 0.25  # seconds between two looks for a free place, while somebody waits
GRACE = 20.0  # seconds past its time limit; a run heeds it after a step, and steps can be long
RECKON = 1.0  # seconds that a reckoning of the waiting times holds

# Called once a run has finished: its name -> options of the run that follows it, None for none.
Then = Callable[[str], dict[str, Any] | None]


class OneEach(RuntimeError):
    """The visitor has a run that is live or waits: one each."""


@dataclass(frozen=True)
class Place:
    """Where a visitor stands: `number` 1 is next. `seconds` until their run begins: about so many,
    or, where not `sure`, at most; None where nobody knows."""

    number: int
    seconds: float | None
    sure: bool


@dataclass(frozen=True)
class _Waiting:
    visitor: Visitor
    options: dict[str, Any]
    pace: float  # seconds between two steps
    then: Then | None


class Line:
    """Runs that wait for a place of `client`; first come, first served, a presenter before others.

    What stands in line is run in its turn, whether or not its owner's page is still open: they
    find the run when they come back. A visitor has one run that is live or waits. The line itself
    ends with the server. Threads may share it.

    `time_limit` in seconds is that of every run, None: there is none.
    """

    def __init__(self, client: Client, visitors: Visitors, time_limit: float | None = None) -> None:
        self.visitors = visitors
        self.time_limit = time_limit
        self._client = client
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._refused: dict[Visitor, list[str]] = {}
        self._tended = False
        self._reckoned: tuple[float, list[tuple[float | None, bool]]] = (-math.inf, [])

    def limited(self, options: dict[str, Any]) -> dict[str, Any]:
        """`options` of a run, within the time limit."""
        return options if self.time_limit is None else {**options, "time_limit": self.time_limit}

    def join(
        self,
        visitor: Visitor,
        options: dict[str, Any],
        pace: float = 0.0,
        then: Then | None = None,
    ) -> str | None:
        """Run with the options of `Client.start`: now, where a place is free, and the name of the
        run is returned; else in its turn. Once it has finished, `then` is called, and what it tells
        joins the line.

        Raises:
            ConfigError: bad options, or a folder that cannot be written.
            OneEach: a run of this visitor is live or waits.
        """
        options = self.limited(options)
        resolve(**options)  # bad ones are told before they wait
        joined = _Waiting(visitor, options, pace, then)
        with self._lock:
            if self._has_one(visitor):
                raise OneEach
            self._refused.pop(visitor, None)
            if not self._waiting and self._client.free():
                with contextlib.suppress(Busy):  # a run that has ended does not leave its place
                    return self._start(joined)
            ahead = len(self._waiting)
            if self.visitors.presents(visitor):
                ahead = sum(self.visitors.presents(one.visitor) for one in self._waiting)
            self._waiting.insert(ahead, joined)
            self._changed()
            if not self._tended:
                self._tended = True
                threading.Thread(target=self._tend, daemon=True).start()
        return None

    def leave(self, visitor: Visitor) -> None:
        """Take the visitor's run out of the line, if it waits there."""
        with self._lock:
            self._waiting = [one for one in self._waiting if one.visitor != visitor]
            self._changed()

    def place(self, visitor: Visitor) -> Place | None:
        """Where the visitor's run stands; None where none waits."""
        with self._lock:
            for i, one in enumerate(self._waiting):
                if one.visitor == visitor:
                    return Place(i + 1, *self._waits()[i])
        return None

    def refused(self, visitor: Visitor) -> list[str]:
        """Why the visitor's run could not begin in its turn; nothing once they run another."""
        return self._refused.get(visitor, [])

    def _has_one(self, visitor: Visitor) -> bool:
        live = any(self.visitors.owns(visitor, run) for run in self._client.live())
        return live or any(one.visitor == visitor for one in self._waiting)

    def _start(self, one: _Waiting) -> str:
        run = self.visitors.start(one.visitor, one.options)
        self._client.send(run, "set", delay=one.pace)
        if self.time_limit is not None:  # told to stop, a run that does not is ended
            timer = threading.Timer(self.time_limit + GRACE, self._client.send, [run, "stop"])
            timer.daemon = True
            timer.start()
        if one.then is not None:
            threading.Thread(target=self._follow, args=(run, one), daemon=True).start()
        return run

    def _start_first(self) -> None:
        first = self._waiting[0]
        try:
            self._start(first)
        except ConfigError as error:
            self._refused[first.visitor] = error.lines
        except OSError as error:  # no memory for a process, say: those behind still have their turn
            self._refused[first.visitor] = [str(error)]
        self._waiting.pop(0)
        self._changed()

    def _tend(self) -> None:
        """Start what waits as places become free, until nothing waits."""
        while True:
            with self._lock:
                with contextlib.suppress(Busy):
                    while self._waiting and self._client.free():
                        self._start_first()
                if not self._waiting:
                    self._tended = False
                    return
            time.sleep(LOOK)

    def _follow(self, run: str, first: _Waiting) -> None:
        """Do what follows `run`, unless that was stopped or failed."""
        while (self._client.status(run) or {}).get("status") not in FINAL:
            time.sleep(LOOK)
        if self._client.status(run)["status"] != "finished":
            return
        options = first.then(run)
        while options is not None:
            try:
                self.join(first.visitor, options, first.pace)
                return
            except OneEach:  # the visitor was faster
                time.sleep(LOOK)
            except ConfigError as error:  # the folder of the first was deleted, say
                self._refused[first.visitor] = error.lines
                return

    # How long it takes

    def _changed(self) -> None:
        self._reckoned = (-math.inf, [])

    def _waits(self) -> list[tuple[float | None, bool]]:
        """For each that waits: the seconds until it begins, and whether they are more than a bound.

        A place is free when its run ends; who is first in line takes the one that is free first.
        """
        reckoned, waits = self._reckoned
        now = time.monotonic()
        if now - reckoned > RECKON:
            ends = [self._left(run) for run in self._client.live()]
            ends += [(0.0, True)] * (self._client.at_once - len(ends))
            heapq.heapify(ends)
            waits = []
            for one in self._waiting:
                begins, sure = heapq.heappop(ends)
                waits.append((begins if math.isfinite(begins) else None, sure))
                bound = self.time_limit or math.inf
                needed, known = self._needed(one.options, bound, one.pace)
                heapq.heappush(ends, (begins + needed, sure and known))
            self._reckoned = (now, waits)
        return waits

    def _left(self, run: str) -> tuple[float, bool]:
        config, (events, _) = self._client.config(run), self._client.events(run)
        bound = config["time_limit"] or math.inf
        if events:
            bound = max(0.0, bound - events[-1]["seconds"])
        if (self._client.status(run) or {}).get("status") == "paused":
            return bound, False
        left = time_left(config, events)
        return self._needed(config, bound) if left is None else (left, True)

    def _needed(
        self, options: dict[str, Any], bound: float, pace: float = 0.0
    ) -> tuple[float, bool]:
        seconds = self._client.estimate(delay=pace, **options)
        return (bound, False) if seconds is None else (seconds, True)
