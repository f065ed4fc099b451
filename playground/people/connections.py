"""Connections: how many there may be, and how long a client may take to send a request.

uvicorn waits for the head of a request without a limit, so that half-sent ones would fill the
server.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Any

import uvicorn.config
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_WAITING_BY_ADDRESS = 100  # connections of an address that have sent no whole head
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


@dataclass
class ConnectionLimits:
    """The limits of a server, and its connections.

    Args:
        most: connections in all.
        head_seconds: how long a client may take to send the head of a request.
    """

    most: int
    head_seconds: float
    open: int = 0
    # those that owe the head of a request, oldest first
    waiting: OrderedDict[Guarded, None] = field(default_factory=OrderedDict)
    by_address: Counter[str] = field(default_factory=Counter)  # of those

    def await_head(self, connection: Guarded) -> None:
        """The connection owes the head of a request; others of its address that have owed theirs
        for longer, are closed if there are many."""
        address = connection.address
        self.waiting[connection] = None
        self.by_address[address] += 1
        if self.by_address[address] > MOST_WAITING_BY_ADDRESS:
            oldest = next(other for other in self.waiting if other.address == address)
            oldest.give_up()

    def head_arrived(self, connection: Guarded) -> None:
        """The connection owes no head any more."""
        if connection in self.waiting:
            del self.waiting[connection]
            self.by_address[connection.address] -= 1
            if not self.by_address[connection.address]:
                del self.by_address[connection.address]


class Guarded(H11Protocol):
    """A connection within the `limits` of its server, which `guard` sets."""

    limits = ConnectionLimits(2000, 10.0)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.limits = type(self).limits  # those of now: a later server may have others
        self.address = ""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.limits.open += 1
        self.address = self.client[0] if self.client else ""
        if self.limits.open > self.limits.most and self.limits.waiting:
            next(iter(self.limits.waiting)).give_up()
        elif self.limits.open > self.limits.most:
            transport.write(_BUSY)
            transport.close()
            return
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._settle()
        elif self._timer is None:
            self._await_head()  # of a further request on this connection

    def connection_lost(self, exc: Exception | None) -> None:
        self.limits.open -= 1
        self._settle()
        super().connection_lost(exc)

    def _should_upgrade(self) -> bool:
        return False  # no page here uses a websocket

    def give_up(self) -> None:
        """Close the connection, which owes the head of a request."""
        self._settle()
        self.transport.abort()

    def _await_head(self) -> None:
        self._timer = self.loop.call_later(self.limits.head_seconds, self.give_up)
        self.limits.await_head(self)

    def _settle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.limits.head_arrived(self)


def guard(limits: ConnectionLimits) -> None:
    """Let each server that Gradio starts from now on keep to these limits.

    Gradio passes no options to uvicorn, so uvicorn's own choice of a protocol is replaced.
    """
    Guarded.limits = limits
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{Guarded.__name__}"
