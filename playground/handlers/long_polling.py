"""Answers that wait for something to tell: a page asks once, and hears as soon as there is news.

Fifty pages that ask over and over would take from the run that they watch. So those that wait for
the same thing wait together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

TIMEOUT = 2.0  # seconds: how long a server that closes may have to wait
POLL_SECONDS = 0.1


class LongPoll:
    """Waits until `ready(known)` for each `known`, which must be hashable, asked in a thread."""

    def __init__(self, ready: Callable[[Any], bool]) -> None:
        self._ready = ready
        self._waits: dict[Any, asyncio.Task[None]] = {}

    async def wait(self, known: Any) -> None:
        """Return once there is more than is `known`, or TIMEOUT has passed."""
        if known not in self._waits:
            self._waits[known] = asyncio.create_task(self._poll(known))
        await asyncio.shield(self._waits[known])

    async def _poll(self, known: Any) -> None:
        try:
            end = time.monotonic() + TIMEOUT
            while not await asyncio.to_thread(self._ready, known) and time.monotonic() < end:
                await asyncio.sleep(POLL_SECONDS)
        finally:
            del self._waits[known]
