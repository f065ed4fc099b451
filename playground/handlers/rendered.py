"""Answers that are the same for all visitors, rendered once: the page in each language.

Gradio renders the page, 320 kB, for every request, and holds up the whole server for 30 ms.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NOWHERE = "page.invalid"  # RFC 2606; a placeholder for the server's name in the rendered page
_HOST = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d+)?", re.ASCII)
MAX_KEPT = 16  # answers: for each page and address of the server, one compressed, one not
Pieces = tuple[bytes, ...]  # an answer, cut wherever it contains the server's address


class Rendered:
    """Middleware that answers GET and HEAD requests for `paths`, whatever their query.

    `first` is a script that a page executes before Gradio's own modules; the scripts in Gradio's
    `head` come only after these modules.
    """

    def __init__(self, app: ASGIApp, paths: Collection[str], first: str) -> None:
        self._app = app
        self._first = f"<head><script>{first}</script>".encode()
        self._paths = frozenset(paths)
        self._answers: dict[str, asyncio.Task[tuple[Pieces, str]]] = {}  # with its media type
        self._whole = lru_cache(MAX_KEPT)(_whole)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and scope["path"] in self._paths
        if is_page and scope["method"] in ("GET", "HEAD"):
            await (await self._answer(scope))(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        headers = Headers(scope=scope)
        address = _address(scope["scheme"], headers)
        if address is None:
            line = "expected the name of this server in Host and X-Forwarded-Host"
            return JSONResponse({"why": "malformed", "line": line}, 400)
        pieces, media_type = await self._rendered(scope)
        is_compressed = "gzip" in headers.get("accept-encoding", "")
        content, tag = self._whole(pieces, address, is_compressed)
        cache_headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if tag in map(str.strip, headers.get("if-none-match", "").split(",")):
            return Response(status_code=304, headers=cache_headers)
        if is_compressed:
            cache_headers["Content-Encoding"] = "gzip"
        return Response(content, media_type=media_type, headers=cache_headers)

    async def _rendered(self, scope: Scope) -> tuple[Pieces, str]:
        """The pieces of the answer and its media type; simultaneous first requests share them."""
        path = scope["path"]
        if path not in self._answers:
            self._answers[path] = asyncio.create_task(self._render(scope))
        try:
            return await asyncio.shield(self._answers[path])
        except Exception:
            self._answers.pop(path, None)
            raise

    async def _render(self, scope: Scope) -> tuple[Pieces, str]:
        plain = {"method": "GET", "scheme": "http", "query_string": b""}
        plain["headers"] = [(b"host", _NOWHERE.encode())]
        head: dict[str, Any] = {}
        parts: list[bytes] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            head.update(message if message["type"] == "http.response.start" else {})
            parts.append(message.get("body", b""))

        await self._app({**scope, **plain}, receive, send)
        if head["status"] != 200:
            raise RuntimeError(f"{scope['path']} was answered with {head['status']}")
        content, media_type = b"".join(parts), Headers(raw=head["headers"])["content-type"]
        if media_type.startswith("text/html"):
            content = content.replace(b"<head>", self._first, 1)
        return tuple(content.split(f"http://{_NOWHERE}".encode())), media_type


def _address(scheme: str, headers: Headers) -> str | None:
    """The scheme and the name by which the client knows the server; None if it is malformed.

    Each of several proxies may append to the headers; the first entry is what the client used.
    """
    names = headers.get("x-forwarded-host") or headers.get("host", "")
    name = names.partition(",")[0].strip()
    schemes = headers.get("x-forwarded-proto", scheme).partition(",")[0].strip()
    if not _HOST.fullmatch(name):
        return None
    return f"{'https' if schemes == 'https' else scheme}://{name}"


def _whole(pieces: Pieces, address: str, is_compressed: bool) -> tuple[bytes, str]:
    """The complete answer for a client that knows the server by this address, and its ETag."""
    content = address.encode().join(pieces)
    tag = f'W/"{hashlib.sha256(content).hexdigest()[:16]}"'
    return gzip.compress(content, 6) if is_compressed else content, tag
