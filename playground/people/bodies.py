"""Bodies of requests, which are received completely and within limits before the app reads them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_RECEIVING = 100_000_000  # bytes of all bodies that are being received
MAX_DEPTH = 100  # of nested brackets in JSON, so that no route fails at Python's recursion limit
MAX_VALUES = 20_000  # in JSON: a route takes seconds to refuse a million unknown keys


class Bodies:
    """Middleware that receives the body for the app, or itself answers 413, 408, 400 or 503.

    Args:
        larger: path -> the largest number of bytes, for paths that accept more than `max_bytes`.
        max_bytes: the largest number of bytes of a body.
        seconds: how long a client may take to send the body, or to receive a part of an answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        larger: Mapping[str, int],
        max_bytes: int,
        seconds: float,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._larger = larger
        self._received = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        try:
            refusal = await self._receive(scope, receive, body)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
            await self._app(scope, self._replay(bytes(body), receive), self._in_time(send))
        except _Gone:
            return
        finally:
            self._received -= len(body)

    async def _receive(
        self, scope: Scope, receive: Receive, body: bytearray
    ) -> JSONResponse | None:
        """Receive the body; returns None, or the response if it is refused."""
        max_bytes = self._larger.get(scope["path"], self._max_bytes)
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > max_bytes:
            return _refused(413, f"expected a body of at most {max_bytes} bytes, got {length[:20]}")
        try:
            async with asyncio.timeout(self._seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    chunk = message.get("body", b"")
                    body += chunk
                    self._received += len(chunk)
                    more = message.get("more_body", False)
                    if len(body) > max_bytes:
                        return _refused(
                            413, f"expected a body of at most {max_bytes} bytes, got more"
                        )
                    if self._received > MAX_RECEIVING:
                        return _refused(503, "many large requests are in progress: try again")
        except TimeoutError:
            return _refused(408, f"expected the body within {self._seconds:g} seconds, got a part")
        if json.detect_encoding(body) not in ("utf-8", "utf-8-sig"):  # RFC 8259, section 8.1
            return _refused(400, "expected a body in UTF-8, got UTF-16 or UTF-32")
        if not _is_simple(body):
            line = f"expected JSON of at most {MAX_DEPTH} levels and {MAX_VALUES} values"
            return _refused(400, line)
        if _has_half_characters(body):
            return _refused(400, "expected whole characters, got half of a surrogate pair")
        return None

    def _replay(self, body: bytes, receive: Receive) -> Receive:
        """The `receive` for the app: first the whole body, then the messages of `receive`."""
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        return replay

    def _in_time(self, send: Send) -> Send:
        """`send` that raises _Gone if the client does not receive the message in `seconds`."""

        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(self._seconds):
                    await send(message)
            except TimeoutError:
                raise _Gone from None

        return send_in_time


class _Gone(Exception):
    """The client has disconnected, or does not receive the answer."""


def _refused(status: int, line: str) -> JSONResponse:
    headers = {"Connection": "close"}
    return JSONResponse({"why": "malformed", "line": line}, status, headers)


def _is_simple(body: bytearray) -> bool:
    """Whether the body has at most MAX_DEPTH levels and MAX_VALUES values, if it is JSON."""
    plain = body.replace(rb"\\", b"").replace(rb"\"", b"")  # all remaining quotes delimit strings
    if plain.count(b'"') > 4 * MAX_VALUES:  # two around each value, and two around its key
        return False
    outside = b"".join(plain.split(b'"')[::2])  # everything outside strings
    brackets = outside.count(b"[") + outside.count(b"{")
    if brackets + outside.count(b",") > MAX_VALUES:
        return False
    if brackets <= MAX_DEPTH:
        return True
    try:
        level = [json.loads(body)]
    except RecursionError:
        return False
    except ValueError:  # not JSON: the route refuses it
        return True
    for _ in range(MAX_DEPTH):
        level = [child for value in level for child in _children(value)]
    return not level


def _has_half_characters(body: bytearray) -> bool:
    """Whether JSON has an escaped surrogate without the other half of its pair."""
    if rb"\ud" not in body.lower():
        return False
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except ValueError:  # the route refuses it
        return False
    return False


def _children(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
