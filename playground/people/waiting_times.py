"""The waiting times of queued runs and quick runs of experiments, estimated from the live ones."""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Sequence
from typing import Any

from align_core.experiments.quick_runs import QuickRuns
from align_core.runs.client import Client
from align_core.runs.durations import time_left

ESTIMATE_SECONDS = 1.0  # how long an estimate is reused

Duration = tuple[float, bool]  # seconds; True if they are estimated, False if they are a bound


class WaitingTimes:
    """The waiting times behind the live runs of `client` and the live `quick_runs`. Thread-safe."""

    def __init__(self, client: Client, quick_runs: QuickRuns) -> None:
        self._client = client
        self._quick_runs = quick_runs
        self._quick_run_seconds: dict[str, float] = {}  # by experiment; infinite if unknown
        self._lock = threading.Lock()
        self._estimates: tuple[float, list[tuple[float | None, bool]]] = (-math.inf, [])

    def forget(self) -> None:
        """Forget the estimates, because the queue has changed."""
        self._estimates = (-math.inf, [])

    def of(self, durations: Sequence[Duration]) -> list[tuple[float | None, bool]]:
        """The seconds until each queued run or quick run starts, from the `durations` of all.

        True marks an estimate, and False an upper bound, which is None if there is none. The first
        in the queue takes the first slot that becomes free.
        """
        with self._lock:
            then, waits = self._estimates
            now = time.monotonic()
            if now - then > ESTIMATE_SECONDS or len(waits) != len(durations):
                slots = [self._live_run_duration(run) for run in self._client.live()]
                slots += [self.quick_run_duration(name) for name in self._quick_runs.live()]
                slots += [(0.0, True)] * (self._client.at_once - len(slots))
                heapq.heapify(slots)
                waits = []
                for seconds, estimated in durations:
                    start, start_estimated = heapq.heappop(slots)
                    waits.append((start if math.isfinite(start) else None, start_estimated))
                    heapq.heappush(slots, (start + seconds, start_estimated and estimated))
                self._estimates = (now, waits)
            return waits

    def run_duration(self, options: dict[str, Any], bound: float, pace: float = 0.0) -> Duration:
        """The duration of a run with these options."""
        seconds = self._client.estimate(delay=pace, **options)
        return (bound, False) if seconds is None else (seconds, True)

    def expect(self, name: str, seconds: float) -> Duration:
        """Store the seconds of an experiment's quick run, infinite if unknown; returns its
        duration."""
        self._quick_run_seconds[name] = seconds
        return self.quick_run_duration(name)

    def quick_run_duration(self, name: str) -> Duration:
        """The remaining duration of the live or queued quick run of an experiment."""
        seconds = self._quick_run_seconds.get(name, math.inf)
        if name in self._quick_runs.live() and (state := self._quick_runs.state(name)):
            return max(0.0, seconds - (time.time() - state["began"])), math.isfinite(seconds)
        return seconds, math.isfinite(seconds)

    def _live_run_duration(self, run: str) -> Duration:
        config, (events, _) = self._client.config(run), self._client.events(run)
        bound = config["time_limit"] or math.inf
        if events:
            bound = max(0.0, bound - events[-1]["seconds"])
        if (self._client.status(run) or {}).get("status") == "paused":
            return bound, False
        left = time_left(config, events)
        return self.run_duration(config, bound) if left is None else (left, True)
