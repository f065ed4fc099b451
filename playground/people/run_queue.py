"""The line in front of a busy machine: who waits, for how long, and whose turn is next."""

from __future__ import annotations

import contextlib
import heapq
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.messages import Message, plain
from align_core.config.run_config import resolve
from align_core.experiments.quick_runs import Trials
from align_core.runs.client import Busy, Client
from align_core.runs.durations import time_left
from align_core.runs.events import FINAL
from playground.people.visitors import Visitor, Visitors

POLL_SECONDS = 0.25  # seconds between two looks for a free place, while somebody waits
GRACE = 20.0  # seconds past its time limit; a run heeds it after a step, and steps can be long
ESTIMATE_SECONDS = 1.0  # seconds that a reckoning of the waiting times holds

# Called once a run has finished: its name -> options of the run that follows it, None for none.
NextRun = Callable[[str], dict[str, Any] | None]


class AlreadyHasRun(RuntimeError):
    """The visitor has a run or a trial that is live or waits: one each."""


@dataclass(frozen=True)
class Position:
    """Where a visitor stands: `number` 1 is next. `seconds` until their run begins: about so many,
    or, where not `sure`, at most; None where nobody knows."""

    number: int
    seconds: float | None
    sure: bool


@dataclass(frozen=True)
class _Entry:
    visitor: Visitor
    begin: Callable[[], str]  # returns the name of the run or the experiment
    needs: Callable[[], tuple[float, bool]]  # seconds, and whether not more than a bound
    trial: str | None = None  # the experiment


class RunQueue:
    """Runs, and `trials` of the lab's experiments, that wait for a place of `client`; first come,
    first served, a presenter before others.

    What stands in line is run in its turn, whether or not its owner's page is still open: they
    find it when they come back. A visitor has one that is live or waits, and an experiment is tried
    once at a time. The line itself ends with the server. Threads may share it.

    `time_limit` in seconds is that of every run and trial, None: there is none.
    """

    def __init__(
        self,
        client: Client,
        visitors: Visitors,
        time_limit: float | None = None,
        trials: Trials | None = None,
    ) -> None:
        self.visitors = visitors
        self.time_limit = time_limit
        self.trials = trials or Trials(client.root / "trials")
        self._client = client
        self._trial_seconds: dict[
            str, float
        ] = {}  # seconds that a trial takes, where that is known
        self._lock = threading.Lock()
        self._waiting: list[_Entry] = []
        self._start_errors: dict[Visitor, list[Message]] = {}
        self._watching = False
        self._estimates: tuple[float, list[tuple[float | None, bool]]] = (-math.inf, [])

    def with_time_limit(self, options: dict[str, Any]) -> dict[str, Any]:
        """`options` of a run, within the time limit."""
        return options if self.time_limit is None else {**options, "time_limit": self.time_limit}

    def join(
        self,
        visitor: Visitor,
        options: dict[str, Any],
        pace: float = 0.0,
        then: NextRun | None = None,
    ) -> str | None:
        """Run with the options of `Client.start`: now, where a place is free, and the name of the
        run is returned; else in its turn. Once it has finished, `then` is called, and what it tells
        joins the line.

        Raises:
            ConfigError: bad options, or a folder that cannot be written.
            AlreadyHasRun: a run of this visitor is live or waits.
        """
        options = self.with_time_limit(options)
        resolve(**options)  # bad ones are told before they wait
        begin = partial(self._start, visitor, options, pace, then)
        bound = self.time_limit or math.inf
        return self._enqueue(
            _Entry(visitor, begin, partial(self._seconds_needed, options, bound, pace))
        )

    def join_trial(self, visitor: Visitor, name: str, seconds: float | None) -> None:
        """Try one of the lab's experiments, which takes about so many seconds: now, where a place
        is free, else in its turn. Where it is being tried, or waits for that, it stays so.

        Raises:
            AlreadyHasRun: a run or a trial of this visitor is live or waits.
            OSError: there is no memory for a process, or no room on the disk.
        """
        bound = self.time_limit or math.inf
        self._trial_seconds[name] = min(bound, seconds or math.inf)

        def begin() -> str:
            self.trials.start(name, visitor, self.time_limit)
            return name

        self._enqueue(_Entry(visitor, begin, partial(self._trial_seconds_left, name), name))

    def has_free_slot(self) -> bool:
        """Whether a run would begin at once, were nobody waiting."""
        taken = len(self._client.live()) + len(self.trials.live())
        return self._client.free() and taken < self._client.at_once

    def live_trial_owner(self, visitor: Visitor) -> str | None:
        """Whether an experiment is tried just now: "own", the visitor's, or "other"."""
        live = [(self.trials.state(name) or {}).get("owner") for name in self.trials.live()]
        return "own" if visitor in live else "other" if live else None

    def may_stop_trial(self, visitor: Visitor, name: str) -> bool:
        """Whether the visitor may stop the trial of an experiment."""
        owner = (self.trials.state(name) or {}).get("owner")
        return owner in (None, visitor) or self.visitors.is_presenter(visitor)

    def is_trial_queued(self, name: str) -> bool:
        """Whether a trial of an experiment stands in line."""
        return any(one.trial == name for one in self._waiting)

    def queued_trial(self, visitor: Visitor) -> str | None:
        """The experiment whose trial the visitor has in line."""
        return next((one.trial for one in self._waiting if one.visitor == visitor), None)

    def _enqueue(self, joined: _Entry) -> str | None:
        with self._lock:
            if self._has_run(joined.visitor):
                raise AlreadyHasRun
            if joined.trial and (
                joined.trial in self.trials.live() or self.is_trial_queued(joined.trial)
            ):
                return None
            self._start_errors.pop(joined.visitor, None)
            if not self._waiting and self.has_free_slot():
                with contextlib.suppress(Busy):  # a run that has ended does not leave its place
                    return joined.begin()
            ahead = len(self._waiting)
            if self.visitors.is_presenter(joined.visitor):
                ahead = sum(self.visitors.is_presenter(one.visitor) for one in self._waiting)
            self._waiting.insert(ahead, joined)
            self._forget_estimates()
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._start_when_free, daemon=True).start()
        return None

    def leave(self, visitor: Visitor) -> None:
        """Take the visitor's run out of the line, if it waits there."""
        with self._lock:
            self._waiting = [one for one in self._waiting if one.visitor != visitor]
            self._forget_estimates()

    def position(self, visitor: Visitor) -> Position | None:
        """Where the visitor's run stands; None where none waits."""
        with self._lock:
            for i, one in enumerate(self._waiting):
                if one.visitor == visitor:
                    return Position(i + 1, *self._waiting_times()[i])
        return None

    def start_errors(self, visitor: Visitor) -> list[Message]:
        """Why the visitor's run could not begin in its turn; nothing once they run another."""
        return self._start_errors.get(visitor, [])

    def _has_run(self, visitor: Visitor) -> bool:
        live = any(self.visitors.owns(visitor, run) for run in self._client.live())
        waits = any(one.visitor == visitor for one in self._waiting)
        return live or waits or self.live_trial_owner(visitor) == "own"

    def _start(
        self, visitor: Visitor, options: dict[str, Any], pace: float, then: NextRun | None
    ) -> str:
        run = self.visitors.start(visitor, options)
        self._client.send(run, "set", delay=pace)
        if self.time_limit is not None:  # told to stop, a run that does not is ended
            timer = threading.Timer(self.time_limit + GRACE, self._client.send, [run, "stop"])
            timer.daemon = True
            timer.start()
        if then is not None:
            followed = (run, visitor, pace, then)
            threading.Thread(target=self._follow, args=followed, daemon=True).start()
        return run

    def _start_first(self) -> None:
        first = self._waiting[0]
        try:
            first.begin()
        except ConfigError as error:
            self._start_errors[first.visitor] = error.lines
        except OSError as error:  # no memory for a process, say: those behind still have their turn
            self._start_errors[first.visitor] = [plain(str(error))]
        self._waiting.pop(0)
        self._forget_estimates()

    def _start_when_free(self) -> None:
        """Start what waits as places become free, until nothing waits."""
        while True:
            with self._lock:
                with contextlib.suppress(Busy):
                    while self._waiting and self.has_free_slot():
                        self._start_first()
                if not self._waiting:
                    self._watching = False
                    return
            time.sleep(POLL_SECONDS)

    def _follow(self, run: str, visitor: Visitor, pace: float, then: NextRun) -> None:
        """Do what follows a visitor's `run`, unless that was stopped or failed."""
        while (self._client.status(run) or {}).get("status") not in FINAL:
            time.sleep(POLL_SECONDS)
        if self._client.status(run)["status"] != "finished":
            return
        options = then(run)
        while options is not None:
            try:
                self.join(visitor, options, pace)
                return
            except AlreadyHasRun:  # the visitor was faster
                time.sleep(POLL_SECONDS)
            except ConfigError as error:  # the folder of the first was deleted, say
                self._start_errors[visitor] = error.lines
                return

    # How long it takes

    def _forget_estimates(self) -> None:
        self._estimates = (-math.inf, [])

    def _waiting_times(self) -> list[tuple[float | None, bool]]:
        """For each that waits: the seconds until it begins, and whether they are more than a bound.

        A place is free when its run ends; who is first in line takes the one that is free first.
        """
        reckoned, waits = self._estimates
        now = time.monotonic()
        if now - reckoned > ESTIMATE_SECONDS:
            ends = [self._run_seconds_left(run) for run in self._client.live()]
            ends += [self._trial_seconds_left(name) for name in self.trials.live()]
            ends += [(0.0, True)] * (self._client.at_once - len(ends))
            heapq.heapify(ends)
            waits = []
            for one in self._waiting:
                begins, sure = heapq.heappop(ends)
                waits.append((begins if math.isfinite(begins) else None, sure))
                needed, known = one.needs()
                heapq.heappush(ends, (begins + needed, sure and known))
            self._estimates = (now, waits)
        return waits

    def _run_seconds_left(self, run: str) -> tuple[float, bool]:
        config, (events, _) = self._client.config(run), self._client.events(run)
        bound = config["time_limit"] or math.inf
        if events:
            bound = max(0.0, bound - events[-1]["seconds"])
        if (self._client.status(run) or {}).get("status") == "paused":
            return bound, False
        left = time_left(config, events)
        return self._seconds_needed(config, bound) if left is None else (left, True)

    def _trial_seconds_left(self, name: str) -> tuple[float, bool]:
        """As `_run_seconds_left`, of an experiment that is tried, or will be."""
        needed = self._trial_seconds.get(name, math.inf)
        if name in self.trials.live() and (state := self.trials.state(name)):
            return max(0.0, needed - (time.time() - state["began"])), math.isfinite(needed)
        return needed, math.isfinite(needed)

    def _seconds_needed(
        self, options: dict[str, Any], bound: float, pace: float = 0.0
    ) -> tuple[float, bool]:
        seconds = self._client.estimate(delay=pace, **options)
        return (bound, False) if seconds is None else (seconds, True)
