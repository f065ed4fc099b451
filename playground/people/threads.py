"""Separate threads for each kind of request, so that slow requests do not delay other kinds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any

import gradio as gr


class Threads:
    """`count` threads for the requests of one `kind`; further requests wait for a free thread."""

    def __init__(self, kind: str, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=kind)

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The result of `function`, called in one of the threads."""
        call = partial(copy_context().run, function, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def serve(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, of a request and an argument, as a coroutine function for Gradio, so that it
        does not run in Gradio's own threads."""

        async def served(request: gr.Request, argument: Any) -> Any:
            return await self.run(function, request, argument)

        served.__name__ = function.__name__
        return served


def picture_threads() -> Threads:
    """Threads for pictures, whose numbers are computed in this process: only two, since all threads
    that compute take turns with the one that answers every visitor."""
    return Threads("pictures", 2)
