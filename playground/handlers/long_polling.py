"""Long polling: a request for new events is answered when there are some, or after a timeout.

One task serves all waiting requests: however many there are, each run is checked for new events
once every POLL_SECONDS.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.routes import ORJSONResponse
from starlette.responses import Response

from playground.content.new_events import Cursor
from playground.handlers.live_view import LiveView
from playground.people.requests import with_visitor
from playground.people.threads import Threads
from playground.people.visitors import Visitors

TIMEOUT = 2.0  # seconds; a server that shuts down may have to wait for this long
POLL_SECONDS = 0.1
UPDATE_THREADS = 8  # for all pages in one language

_Waiting = dict[int, tuple[float, asyncio.Future[None]]]  # offset -> its deadline, and its answer


class LongPoll:
    """Waits until a run has events past an offset. `end_offset(run)`, which is called in `threads`,
    returns where its events end."""

    def __init__(self, end_offset: Callable[[str], float], threads: Threads) -> None:
        self._end_offset = end_offset
        self._threads = threads
        self._waiting: defaultdict[str, _Waiting] = defaultdict(dict)  # by run
        self._known: dict[str, float] = {}  # the last `end_offset` of each run in `_waiting`
        self._poll: asyncio.Task[None] | None = None

    async def wait(self, run: str, offset: int) -> None:
        """Return once the run has events past `offset`, or after TIMEOUT."""
        if self._known.get(run, 0) > offset:
            return
        waiting = self._waiting[run]
        if offset not in waiting:
            future = asyncio.get_running_loop().create_future()
            waiting[offset] = (time.monotonic() + TIMEOUT, future)
        if self._poll is None or self._poll.done():
            self._poll = asyncio.create_task(self._poll_runs())
        await asyncio.shield(waiting[offset][1])

    async def _poll_runs(self) -> None:
        """Answer the waiting requests, until there are none. An error is passed on to all of
        them."""
        while self._waiting:
            runs = [*self._waiting]
            try:
                offsets = await self._threads.run(self._end_offsets, runs)
            except Exception as error:
                for waiting in self._waiting.values():
                    for _, future in waiting.values():
                        future.set_exception(error)
                self._waiting.clear()
                offsets = []
            self._known = dict(zip(runs, offsets, strict=False))
            for run, end_offset in self._known.items():
                self._answer(run, end_offset)
            if self._waiting:
                await asyncio.sleep(POLL_SECONDS)
        self._known = {}

    def _end_offsets(self, runs: list[str]) -> list[float]:
        return [self._end_offset(run) for run in runs]

    def _answer(self, run: str, end_offset: float) -> None:
        now, waiting = time.monotonic(), self._waiting[run]
        for offset, (end, future) in [*waiting.items()]:
            if end_offset > offset or now >= end:
                del waiting[offset]
                future.set_result(None)
        if not waiting:
            del self._waiting[run]


def new_events(live: LiveView, visitors: Visitors) -> Callable[..., Any]:
    """`LiveView.new_events` as a function for Gradio, which waits for events (`LongPoll.wait`)."""
    threads = Threads("updates", UPDATE_THREADS)
    long_poll = LongPoll(live.end_offset, threads)
    read = with_visitor(visitors, "new_events", live.new_events)

    def response(request: gr.Request, cursor: Cursor) -> Response:
        # A response, because FastAPI would convert each value of a dict in the event loop.
        return ORJSONResponse(read(request, cursor))

    async def new_events(request: gr.Request, sent: Any) -> Response:
        cursor = Cursor.of(sent)
        if cursor.run is not None and cursor.offset is not None:
            await long_poll.wait(cursor.run, cursor.offset)
        return await threads.run(response, request, cursor)

    return new_events
