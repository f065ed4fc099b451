"""Answers that do not end by themselves: few may be open, in all and at one address.

The page asks for none, but Gradio's clients in programs do.
"""

from __future__ import annotations

from collections import Counter

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from playground.people import log
from playground.people.client_address import client_address

MOST, MOST_BY_ADDRESS = 200, 20
_PATHS = ("/gradio_api/queue/data", "/gradio_api/call/")


class Streams:
    """Middleware that answers 503 where too many streams are open."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: Counter[str] = Counter()  # by address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_PATHS):
            await self._app(scope, receive, send)
            return
        address = client_address()
        if self._open[address] >= MOST_BY_ADDRESS or self._open.total() >= MOST:
            log.refused("request", "streams")
            line = "many answers are still open: try again later"
            await JSONResponse({"why": "busy", "line": line}, 503)(scope, receive, send)
            return
        self._open[address] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]
