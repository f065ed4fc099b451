"""Long polling: a request for news is answered when there is news, or after a timeout.

Requests that wait for the same news share one poll, so that fifty open pages cost the run they
watch no more than one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from playground.people.threads import Threads

TIMEOUT = 2.0  # seconds; a server that shuts down may have to wait as long
POLL_SECONDS = 0.1


class LongPoll:
    """Waits until `ready(known)` is true. `known` must be hashable; `ready` runs in `threads`."""

    def __init__(self, ready: Callable[[Any], bool], threads: Threads) -> None:
        self._ready = ready
        self._threads = threads
        self._polls: dict[Any, asyncio.Task[None]] = {}

    async def wait(self, known: Any) -> None:
        """Return once `ready(known)` is true, or after TIMEOUT."""
        if known not in self._polls:
            self._polls[known] = asyncio.create_task(self._poll(known))
        await asyncio.shield(self._polls[known])

    async def _poll(self, known: Any) -> None:
        try:
            end = time.monotonic() + TIMEOUT
            while not await self._threads.run(self._ready, known) and time.monotonic() < end:
                await asyncio.sleep(POLL_SECONDS)
        finally:
            del self._polls[known]
