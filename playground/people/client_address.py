"""The address of the client whose request is being answered, for limits by address."""

from __future__ import annotations

from contextvars import ContextVar

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from playground.people.json_requests import address

_ADDRESS: ContextVar[str] = ContextVar("client_address", default="")


def client_address() -> str:
    """The address of the client that this thread or task answers; "" if it answers none."""
    return _ADDRESS.get()


class ClientAddress:
    """Middleware that notes the address of each request (`json_requests.address`)."""

    def __init__(self, app: ASGIApp, proxies: int | None) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _ADDRESS.set(address(Request(scope), self._proxies))
        await self._app(scope, receive, send)
