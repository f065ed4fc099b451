"""The address of the client whose request is being answered, for limits by address.

It is kept in memory only.
"""

from __future__ import annotations

import itertools
from contextvars import ContextVar

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from playground.people.addresses import is_private, network

_ADDRESS: ContextVar[str] = ContextVar("client_address", default="")


def client_address() -> str:
    """The `network` of the client whose request this thread or task answers; "" outside of
    requests."""
    return _ADDRESS.get()


class ClientAddress:
    """Middleware that stores the client's address for each request. `proxies` is the number of
    proxies in front of the server; None if it is unknown."""

    def __init__(self, app: ASGIApp, proxies: int | None) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _ADDRESS.set(network(_address(Request(scope), self._proxies)))
        await self._app(scope, receive, send)


def _address(request: Request, proxies: int | None) -> str:
    """The client's address, if this number of `proxies` is in front of the server.

    Each proxy appends the address of its client to X-Forwarded-For, so the address of the visitor
    is entry number `proxies` from the end; entries before it may be forged. None stands for any
    number of proxies with private addresses: the address of the visitor is then the last one that
    is not private.
    """
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    chain = [entry for entry in map(str.strip, reversed(forwarded)) if entry]
    if proxies == 0 or not chain:
        return request.client.host if request.client else ""
    if proxies is None:
        return next(itertools.filterfalse(is_private, chain), chain[0])
    return chain[min(proxies, len(chain)) - 1]
