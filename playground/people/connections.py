"""Limits on connections: their number, the time that a client may take to send a request and to
read the answer, and the bytes that it may send before the body.

uvicorn waits without a limit for the head of a request, and for the client to read an answer, so
clients that never send or read would fill the server. Its parser in C takes a third less processor
time for a request than the one in Python, but it stores heads of any size, and any number of
requests that are sent before an answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Any

import uvicorn.config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from playground.people.addresses import network

MAX_FILES = 65_536  # open at once, if the system allows so many
MAX_HEAD_BYTES = 65_536  # of a request: its first line and headers
MAX_HEADERS = 200
MAX_PIPELINED = 16  # requests sent before the answer to the one in progress
MAX_WAITING_BY_ADDRESS = 100  # connections of an address that have sent no whole request
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


@dataclass
class ConnectionLimits:
    """The limits of a server, and its connections.

    Args:
        max_connections: of all addresses.
        max_by_address: of one address.
        head_seconds: how long a client may take to send the head of a request.
        answer_seconds: how long it may take to read what was written.
    """

    max_connections: int
    max_by_address: int
    head_seconds: float
    answer_seconds: float
    open: Counter[str] = field(default_factory=Counter)  # by address, or /64 network of IPv6
    # connections on which a request, or the rest of one, is awaited, oldest first
    waiting: OrderedDict[Guarded, None] = field(default_factory=OrderedDict)
    by_address: Counter[str] = field(default_factory=Counter)  # of the connections in `waiting`

    def await_request(self, connection: Guarded) -> None:
        """Wait for a request, or the rest of one, on this connection. If the server then waits for
        too many connections of this address, the one that has taken longest is closed."""
        if connection in self.waiting:
            return
        address = connection.address
        self.waiting[connection] = None
        self.by_address[address] += 1
        if self.by_address[address] > MAX_WAITING_BY_ADDRESS:
            oldest = next(other for other in self.waiting if other.address == address)
            oldest.give_up()

    def request_arrived(self, connection: Guarded) -> None:
        """No longer wait for a request on this connection."""
        if connection in self.waiting:
            del self.waiting[connection]
            self.by_address[connection.address] -= 1
            if not self.by_address[connection.address]:
                del self.by_address[connection.address]


class Guarded(HttpToolsProtocol):
    """A connection within the `limits` of its server, which `guard` sets."""

    limits = ConnectionLimits(2000, 2000, 10.0, 30.0)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.limits = type(self).limits  # the current ones: a later server may have others
        if isinstance(self.app, ProxyHeadersMiddleware):
            # It would let whoever connects over the loopback interface choose their address. How
            # many proxies are to be believed is a setting (`ClientAddress`).
            self.app = self.app.app
        self.address = ""
        self._in_head = False
        self._head = 0  # bytes of the chunks received since the head in progress began
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that writing pauses while anything is unread
        self.address = network(self.client[0]) if self.client else ""
        self.limits.open[self.address] += 1
        too_many = self.limits.open.total() > self.limits.max_connections
        if too_many and self.limits.waiting:
            next(iter(self.limits.waiting)).give_up()
            too_many = False
        if too_many or self.limits.open[self.address] > self.limits.max_by_address:
            transport.write(_BUSY)
            transport.close()
            return
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._head = self._head + len(data) if self._in_head else 0
        if self._head > MAX_HEAD_BYTES:
            self.send_400_response("The head of the request is too long.")
            return
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._stop_timer()
            if cycle.more_body:
                self.limits.await_request(self)
            else:
                self.limits.request_arrived(self)
        elif self._timer is None:
            self._await_head()  # of the next request on this connection

    def connection_lost(self, exc: Exception | None) -> None:
        self.limits.open[self.address] -= 1
        if not self.limits.open[self.address]:
            del self.limits.open[self.address]
        self._settle()
        if self._unread is not None:
            self._unread.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self.limits.answer_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def on_message_begin(self) -> None:
        # The parser turns an error of these callbacks into the status 400.
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError(f"expected at most {MAX_PIPELINED} requests before an answer")
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= MAX_HEADERS:
            raise ValueError(f"expected at most {MAX_HEADERS} headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def _should_upgrade(self) -> bool:
        return False  # no page here uses a websocket

    def _unsupported_upgrade_warning(self) -> None:
        """No warning: a request to change the protocol is answered in HTTP."""

    def give_up(self) -> None:
        """Close the connection, because its request is late or its place is needed."""
        self._settle()
        self.transport.abort()

    def _await_head(self) -> None:
        self._timer = self.loop.call_later(self.limits.head_seconds, self.give_up)
        self.limits.await_request(self)

    def _settle(self) -> None:
        self._stop_timer()
        self.limits.request_arrived(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def guard(limits: ConnectionLimits) -> None:
    """Apply these limits to every server that Gradio starts from now on.

    Gradio passes no options to uvicorn, so uvicorn's own choice of a protocol is replaced.
    """
    _allow_files()
    Guarded.limits = limits
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{Guarded.__name__}"


def _allow_files() -> None:
    """Raise this process's limit of open files. Many shells set 1024, which is fewer than the
    connections; sessions of votes also have open files."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < MAX_FILES:  # a negative number means that there is no limit
        limit = MAX_FILES if hard < 0 else min(hard, MAX_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
