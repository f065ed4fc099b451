"""How long a run counts as watched after the last request from its owner's page."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection

SECONDS = 60.0  # after the run began, or after the page's last request
HIDDEN_SECONDS = 180.0  # after the page reported that its tab is hidden; then it sends no requests


class Attendance:
    """The time until which each run counts as watched, on `clock` in seconds. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def extend(self, run: str, seconds: float = SECONDS) -> None:
        """Count the run as watched for at least `seconds` from now."""
        with self._lock:
            self._until[run] = max(self._until.get(run, -math.inf), self._clock() + seconds)

    def take_unwatched(self, runs: Collection[str]) -> list[str]:
        """The unwatched runs among `runs`, each returned only once. Forgets runs that are not among
        `runs`."""
        with self._lock:
            now = self._clock()
            self._until = {run: until for run, until in self._until.items() if run in runs}
            unwatched = [run for run, until in self._until.items() if until <= now]
            self._until |= dict.fromkeys(unwatched, math.inf)
            return unwatched
