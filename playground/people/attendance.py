"""How long a run counts as watched after its owner's page was last heard of."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection

SECONDS = 60.0  # since the run began, or since the page last asked for news
HIDDEN_SECONDS = 180.0  # since the page said that its tab is hidden; it asks for nothing then


class Attendance:
    """Until when each run counts as watched, on `clock` in seconds. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def extend(self, run: str, seconds: float = SECONDS) -> None:
        """Count the run as watched for so long from now, if it is not for longer."""
        with self._lock:
            self._until[run] = max(self._until.get(run, -math.inf), self._clock() + seconds)

    def take_unwatched(self, runs: Collection[str]) -> list[str]:
        """Those of `runs` that nobody watches, each of them once; other runs are forgotten."""
        with self._lock:
            now = self._clock()
            self._until = {run: until for run, until in self._until.items() if run in runs}
            unwatched = [run for run, until in self._until.items() if until <= now]
            self._until |= dict.fromkeys(unwatched, math.inf)
            return unwatched
