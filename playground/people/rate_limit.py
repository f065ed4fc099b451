"""Rate limits as token buckets, in memory only, so that no address is stored."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MAX_KEY_LENGTH = 64  # characters; longer keys, such as forged headers, are cut
MAX_KEYS = 10_000  # beyond this number, the least recently used key is dropped


class RateLimit:
    """Allows each key `burst` requests at once and `rate` per second. Thread-safe."""

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # (tokens, time)

    def wait(self, key: str) -> float:
        """Take a token and return 0, or take none and return the seconds until there is one."""
        with self._lock:
            key, now = key[:MAX_KEY_LENGTH], self._clock()
            tokens, then = self._buckets.pop(key, (self._burst, now))
            tokens = min(self._burst, tokens + (now - then) * self._rate)
            allowed = tokens >= 1
            self._buckets[key] = (tokens - 1 if allowed else tokens, now)
            if len(self._buckets) > MAX_KEYS:
                self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self._rate
