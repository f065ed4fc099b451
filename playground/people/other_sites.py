"""Protection against other web sites: their requests, and frames with this page.

A page of another site can make a visitor's browser send requests here, and by DNS rebinding it can
reach this machine's address under the site's name. Browsers mark the requests of other sites'
pages; after DNS rebinding, a request has the site's name as its host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from align_core.config.errors import shown
from playground.people import log
from playground.people.addresses import is_loopback

_OWN = ("same-origin", "none")  # "none": the visitor typed the address or used a bookmark
_REFUSED = "this request comes from a page of another site"
# The headers on which the refusal depends.
_ONCE = ("host", "origin", "sec-fetch-site", "sec-fetch-mode", "x-forwarded-host")
_REPEATED = "expected one {name} header, got {count}"
# host[:port] of RFC 3986, section 3.2, with the names of DNS and "_", which Docker's names have.
_NAME = r"(?P<name>[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*)"
_HOST = re.compile(rf"(?:{_NAME}|\[(?P<v6>[0-9a-f:.]+)\])(?::(?P<port>[0-9]{{1,5}}))?", re.ASCII)
MAX_NAME, MAX_PORT = 253, 65_535
_MALFORMED = "{name}: expected host or host:port, got {got}"
_WRONG_HOST = (
    "expected a request to this machine by its own name, got {host}; "
    "the variable PLAYGROUND_HOSTS takes further names"
)


class OtherSites:
    """Middleware that refuses requests from other sites' pages, and limits who may frame this page.

    A browser that opens the page, from any site's link or in a frame, passes. So does a request
    without the browser's headers about its origin, as from `gradio_client` or curl. A request whose
    header names a host in another form than host[:port] is refused. `hosts` are further names of
    the server. A request over the loopback interface, the only one on which a `local` server
    listens, must name one of `hosts` or the machine itself as its host. `frames` is a list of
    sources for CSP's frame-ancestors, with which browsers decide who may frame the page; None
    allows every frame.
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
        host = headers.get("host", "").lower()
        # Each of several proxies may add a name. No page can make a browser send this header.
        forwarded = [
            name.strip() for name in headers.get("x-forwarded-host", "").lower().split(",")
        ]
        for name, hosts in (("host", [host]), ("x-forwarded-host", forwarded)):
            for got in hosts if name in headers else ():
                if _name(got) is None:
                    return _MALFORMED.format(name=name, got=shown(got))
        client = scope.get("client")
        if self._local or (client and is_loopback(client[0])):
            name = _name(host) or ""
            if not (name.endswith(".localhost") or is_loopback(name) or self._is_named(host)):
                return _WRONG_HOST.format(host=shown(host))
        if scope.get("method") == "GET" and headers.get("sec-fetch-mode") == "navigate":
            return None
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:
            return None if site in _OWN else _REFUSED
        if origin is not None:
            scheme, _, page = origin.lower().partition("://")
            is_page = scheme in ("http", "https") and _name(page) is not None
            is_here = page in (host, *forwarded) or self._is_named(page)
            return None if is_page and is_here else _REFUSED
        return None

    def _is_named(self, host: str) -> bool:
        """Whether `host`, with or without its port, is among the names of this server."""
        return host in self._hosts or _name(host) in self._hosts


def _name(host: str) -> str | None:
    """The name or address in `host`, which is host[:port] in lower case; None if it is not."""
    match = _HOST.fullmatch(host)
    if match is None or int(match["port"] or 0) > MAX_PORT or len(match["name"] or "") > MAX_NAME:
        return None
    if match["v6"] is None:
        return match["name"]
    try:
        return str(ipaddress.IPv6Address(match["v6"]))
    except ValueError:
        return None
