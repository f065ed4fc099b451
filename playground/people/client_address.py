"""The address of the client whose request is being answered, for limits by address.

It is kept in memory only.
"""

from __future__ import annotations

import ipaddress
import itertools
from contextvars import ContextVar

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from playground.people.addresses import is_private

_ADDRESS: ContextVar[str] = ContextVar("client_address", default="")


def client_address() -> str:
    """The address of the client whose request this thread or task answers; "" if there is none.

    For IPv6 it is the /64 network, because one client may use all addresses of such a network.
    """
    return _ADDRESS.get()


class ClientAddress:
    """Middleware that stores the client's address for each request. `proxies` is the number of
    proxies in front of the server; None if it is unknown."""

    def __init__(self, app: ASGIApp, proxies: int | None) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _ADDRESS.set(_network(_address(Request(scope), self._proxies)))
        await self._app(scope, receive, send)


def _address(request: Request, proxies: int | None) -> str:
    """The client's address, if this number of `proxies` is in front of the server.

    Each proxy appends the address of its client to X-Forwarded-For, so the address of the visitor
    is entry number `proxies` from the end; entries before it may be forged. None stands for any
    number of proxies with private addresses: the address of the visitor is then the last one that
    is not private.
    """
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
    if proxies == 0 or not forwarded:
        return request.client.host if request.client else ""
    chain = [entry.strip() for entry in reversed(forwarded.split(","))]
    if proxies is None:
        return next(itertools.filterfalse(is_private, chain), chain[0])
    return chain[min(proxies, len(chain)) - 1]


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4 or parsed.is_loopback:
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed.packed, 64), strict=False).network_address)
