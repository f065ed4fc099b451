"""Protection against other web sites: their requests, and frames with this page.

A page of another site can make a visitor's browser send requests here, and by DNS rebinding it can
reach this machine's address under the site's name. Browsers mark the requests of other
sites' pages; after DNS rebinding, a request has the site's name as its host.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from playground.people import log
from playground.people.addresses import is_loopback

_OWN = ("same-origin", "none")  # "none": the visitor typed the address or used a bookmark
_REFUSED = "this request comes from a page of another site"
_ONCE = ("host", "origin", "sec-fetch-site")  # headers on which the refusal depends
_REPEATED = "expected one {name} header, got {count}"
_WRONG_HOST = (
    "expected a request to this machine by its own name, got {host}; "
    "the variable PLAYGROUND_HOSTS takes further names"
)


class OtherSites:
    """Middleware that refuses requests from other sites' pages, and limits who may frame this page.

    A browser that opens the page, from any site's link or in a frame, passes. So does a request
    without the browser's headers about its origin, as from `gradio_client` or curl. `hosts` are
    further names of the server. A request over the loopback interface, the only one on which a
    `local` server listens, must name one of `hosts` or the machine itself as its host. `frames` is
    a list of sources for CSP's frame-ancestors, with which browsers decide who may frame the page;
    None allows every frame.
    """

    def __init__(
        self, app: ASGIApp, hosts: Collection[str], local: bool, frames: str | None
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._local = local
        self._headers = {"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
        if frames is not None:
            self._headers["Content-Security-Policy"] = f"frame-ancestors 'self' {frames}".strip()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        line = self._refusal(scope)
        if line is not None:
            log.refused("request", "site")
        app = self._app if line is None else JSONResponse({"why": "site", "line": line}, 403)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.append(name, value)
            await send(message)

        await app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> str | None:
        """Why a request is refused, in one line; None if it is not."""
        headers = Headers(scope=scope)
        for name in _ONCE:
            if (count := len(headers.getlist(name))) > 1:
                return _REPEATED.format(name=name, count=count)
        host = headers.get("host", "")
        client = scope.get("client")
        if self._local or (client and is_loopback(client[0])):
            name = _name(host)
            if not (name.endswith(".localhost") or is_loopback(name) or self._is_named(host)):
                return _WRONG_HOST.format(host=host)
        if scope.get("method") == "GET" and headers.get("sec-fetch-mode") == "navigate":
            return None
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:
            return None if site in _OWN else _REFUSED
        if origin is not None:
            page = origin.partition("://")[2]
            # Each of several proxies may add a name. No page can make a browser send this header.
            forwarded = ",".join(headers.getlist("x-forwarded-host")).split(",")
            here = (host, *map(str.strip, forwarded))
            return None if page and (page in here or self._is_named(page)) else _REFUSED
        return None

    def _is_named(self, host: str) -> bool:
        """Whether `host`, with or without its port, is among the names of this server."""
        return host.lower() in self._hosts or _name(host) in self._hosts


def _name(host: str) -> str:
    """The name in a Host header, without its port and in lower case; "" if it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
