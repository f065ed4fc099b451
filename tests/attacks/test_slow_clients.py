"""Large, deep, slow and half-sent requests, and clients that hang up, against a real server."""

from __future__ import annotations

import json
import logging
import resource
import socket
import threading
import urllib.request
from contextlib import ExitStack, closing, suppress
from dataclasses import replace

import gradio as gr
import pytest
from gradio import networking

from playground.limits import Limits
from playground.people import connections
from playground.people.bodies import MAX_VALUES, _has_half_characters, _is_simple
from playground.server.page import Page
from playground.settings import Settings
from tests.waiting import until

MAX_BYTES = 200_000
SECONDS = 2  # for the head of a request, and for its body
PATIENCE = 120  # seconds for an answer, from a busy machine
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def page():
    """Gradio's server with one event and none of the page's own routes."""
    with Page() as page:
        gr.HTML("")
        page.load(lambda: "done", None, None)
    limits = Limits(
        connections=200,
        connections_by_address=200,
        head_seconds=SECONDS,
        body_seconds=SECONDS,
        body_bytes=MAX_BYTES,
    )
    page.server = replace(Settings.read({}), limits=limits)
    with pytest.MonkeyPatch.context() as patched:
        # A server has three seconds to answer, which a busy machine may need.
        patched.setattr(networking, "url_ok", lambda url: True)
        page.launch(prevent_thread_lock=True, quiet=True)
    yield page
    page.close()


@pytest.fixture(scope="module")
def server(page):
    """The server's port."""
    return page.server_port


@pytest.fixture(scope="module")
def earlier():
    """The threads that earlier tests of this process left."""
    others = {*threading.enumerate()} - {threading.current_thread()}
    return {thread.ident for thread in others}


@pytest.fixture
def logged(earlier, server, caplog):
    """logged() returns what was logged in a test, and by no thread of an earlier one."""
    return lambda: [record for record in caplog.records if record.thread not in earlier]


@pytest.fixture
def endless(server, monkeypatch):
    """A client may take any time to send the head of a request."""
    monkeypatch.setattr(connections.Guarded.limits, "head_seconds", 3600)


def open_connections():
    return connections.Guarded.limits.open.total()


def wait_for_no_connections():
    until(lambda: not open_connections())


def connected(port, **options):
    return socket.create_connection(("127.0.0.1", port), PATIENCE, **options)


def send(connection, data):
    """Send the data, or as much as the server takes before it closes the connection."""
    with suppress(ConnectionError):
        connection.sendall(data)


def hold(stack, port, count, data):
    """Open connections, on each of which only this `data` is sent."""
    held = []
    for _ in range(count):
        held.append(stack.enter_context(closing(connected(port))))
        send(held[-1], data)
    return held


def head(path, *lines):
    return b"\r\n".join([f"POST {path} HTTP/1.1".encode(), b"Host: 127.0.0.1", *lines, b"", b""])


def answered(connection) -> bytes:
    """The bytes that the server sends until it closes the connection or an answer is complete."""
    data = b""
    while chunk := connection.recv(65_536):
        data += chunk
        if b"\r\n\r\n" in data and b"keep-alive" in data.lower():
            break
        if b"content-length:" in data.lower():
            top, _, rest = data.partition(b"\r\n\r\n")
            length = int(top.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            if len(rest) >= length:
                break
    return data


def status(data: bytes) -> int:
    return int(data.split(b" ", 2)[1])


def post(port, path, body, *lines):
    with closing(connected(port)) as connection:
        length = f"Content-Length: {len(body)}".encode()
        send(connection, head(path, JSON.strip(), length, *lines) + body)
        return status(answered(connection))


def is_well(port) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/config", timeout=PATIENCE) as answer:
        return answer.status == 200


def is_given_up(connection) -> bool:
    """Whether the server closes the connection."""
    with suppress(ConnectionError):
        assert connection.recv(1) == b""
    return True


ROUTES = (
    *("/gradio_api/run/predict", "/gradio_api/queue/join", "/gradio_api/api/0"),
    *("/gradio_api/component_server", "/gradio_api/reset", "/gradio_api/cancel"),
    *("/gradio_api/call/0", "/gradio_api/stream/x", "/gradio_api/heartbeat/x", "/login"),
)
BODIES = {
    "no JSON": b"{",
    "empty": b"",
    "a number": b"7",
    "null": b"null",
    "a list": b"[1]",
    "a text": b'"x"',
    "no keys": b"{}",
    "no UTF-8": b'{"data": "\xff"}',
    "deep": b'{"data": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "deep enough": b'{"data": ' + b"[" * 500 + b"]" * 500 + b"}",
    "deep objects": b'{"data": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}",
    "many keys": b"{" + b'"":1,' * 20_000 + b'"":1}',
    "many lists": b"[" + b"[]," * 20_000 + b"[]]",
    "wrong types": json.dumps({"data": 5, "fn_index": "x", "session_hash": []}).encode(),
    "other types": json.dumps({"data": [{}], "fn_index": [], "session_hash": 7}).encode(),
    "beyond": json.dumps({"data": [], "fn_index": 10**9, "session_hash": "x"}).encode(),
    "negative": json.dumps({"data": [], "fn_index": -5, "session_hash": "x"}).encode(),
    "endless": b'{"data": [], "fn_index": ' + b"9" * 5000 + b"}",
    "component": json.dumps({"data": [], "component_id": 10**9, "fn_name": "x"}).encode(),
    "components": json.dumps({"data": {}, "component_id": {}, "fn_name": []}).encode(),
}


@pytest.mark.parametrize("path", ROUTES)
def test_malformed_bodies_are_refused_without_a_traceback(server, path, logged):
    statuses = {kind: post(server, path, body) for kind, body in BODIES.items()}
    assert all(400 <= code < 500 for code in statuses.values()), statuses
    assert not [record for record in logged() if record.exc_info]


def test_an_idle_server_rests(page):
    """Gradio would look into its queue, which is not used, a thousand times a second."""
    waits = page._queue.sleep_when_free, page._queue.progress_update_sleep_when_free
    assert min(waits) >= 0.1 and max(waits) <= 1


def test_only_values_outside_of_texts_count():
    rows = "\n".join(json.dumps({"prompt": '[,{"\\', "chosen": "\\"}) for _ in range(30_000))
    body = json.dumps({"pairs": rows, "numbers": list(range(MAX_VALUES - 2))}).encode()
    assert _is_simple(bytearray(body))
    assert not _is_simple(bytearray(body.replace(b"[0, ", b"[0, 0, ")))


def test_a_large_body_is_refused_before_it_is_read(server):
    assert post(server, "/gradio_api/queue/join", b"x" * (MAX_BYTES + 1)) == 413
    with closing(connected(server)) as connection:
        connection.sendall(
            head("/gradio_api/queue/join", JSON.strip(), b"Content-Length: 9" + b"0" * 12)
        )
        assert status(answered(connection)) == 413
    with closing(connected(server)) as connection:  # without a length, in pieces
        connection.sendall(head("/x", JSON.strip(), b"Transfer-Encoding: chunked"))
        for _ in range(100):
            send(connection, b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        assert status(answered(connection)) == 413
    assert is_well(server)


def test_long_heads_are_refused(server):
    with closing(connected(server)) as connection:
        send(connection, b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000)
        assert status(answered(connection)) == 400
    with closing(connected(server)) as connection:
        send(connection, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n")
        assert status(answered(connection)) in (400, 431)


def test_many_headers_are_refused(server):
    for count, expected in ((150, 404), (250, 400)):
        with closing(connected(server)) as connection:
            send(connection, head("/nowhere", *[b"X-%d: y" % n for n in range(count)]))
            assert status(answered(connection)) == expected
    with closing(connected(server)) as connection:  # few, each of them short enough, without an end
        send(connection, b"GET / HTTP/1.1\r\n")
        for _ in range(10):
            send(connection, b"X: " + b"y" * 9000 + b"\r\n")
        assert status(answered(connection)) == 400


def test_a_long_head_in_pieces_counts_anew_for_each_request(server):
    with closing(connected(server)) as connection:
        for _ in range(3):
            send(connection, b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
            for _ in range(3):
                send(connection, b"y" * 15_000)
            send(connection, b"\r\n\r\n")
            assert status(answered(connection)) == 404


def test_requests_before_an_answer_are_few(server):
    """A client may send some requests at once, in one piece of data, and not thousands."""
    request = b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with closing(connected(server)) as connection:
        connection.sendall(request * 10)
        data = b""
        while data.count(b"HTTP/1.1 404") < 10:
            chunk = connection.recv(65_536)
            assert chunk, "the server hung up"
            data += chunk
    with closing(connected(server)) as connection:
        send(connection, request * 3000)
        data = b""
        with suppress(ConnectionError):
            while chunk := connection.recv(65_536):
                data += chunk
        assert b"HTTP/1.1 400" in data and data.count(b"HTTP/1.1 404") <= 17
    assert is_well(server)


def test_a_request_for_another_protocol_is_answered_in_this_one(server, logged):
    for upgrade in (b"websocket", b"h2c"):
        with closing(connected(server)) as connection:
            lines = b"Connection: Upgrade", b"Upgrade: " + upgrade, b"Content-Length: 0"
            send(connection, head("/nowhere", *lines))
            assert status(answered(connection)) == 404
    assert not logged()


def test_half_sent_requests_block_nothing(server, endless):
    wait_for_no_connections()
    with ExitStack() as stack:
        held = hold(stack, server, 150, b"GET /config HTTP/1.1\r\nHost: 127.0.")
        assert is_well(server)
        assert open_connections() <= 110, "an address may hold a hundred"
        assert all(is_given_up(connection) for connection in held[:50])
    wait_for_no_connections()
    assert not connections.Guarded.limits.waiting


def test_half_sent_requests_time_out(server):
    """Half of a head, of a body, and of the head of a second request, all at the same time."""
    with ExitStack() as stack:
        first = hold(stack, server, 20, b"GET /config HTTP/1.1\r\nHost: 127.0.")
        body = head("/gradio_api/queue/join", JSON.strip(), b"Content-Length: 100") + b"{"
        (slow,) = hold(stack, server, 1, body)
        (second,) = hold(stack, server, 1, b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert status(answered(second)) == 404
        second.sendall(b"GET /nowhere HT")
        assert status(answered(slow)) == 408
        assert all(map(is_given_up, [*first, second]))
    wait_for_no_connections()
    assert connections.Guarded.limits.waiting == {} and is_well(server)
    assert not connections.Guarded.limits.by_address


def test_half_sent_bodies_neither_stay_nor_block(server):
    with ExitStack() as stack:
        hold(stack, server, 150, head("/x", JSON.strip(), b"Content-Length: 100") + b"{")
        assert is_well(server)
        assert open_connections() <= 110, "an address may hold a hundred"
    wait_for_no_connections()
    assert not connections.Guarded.limits.waiting


def test_an_answer_that_nobody_reads_is_given_up(server):
    with closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server))
        request = b"GET /config HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        connection.setblocking(False)
        with suppress(BlockingIOError):
            connection.send(request * 2000)
        wait_for_no_connections()
    assert is_well(server)


@pytest.mark.parametrize(
    "limits, raised", [((1024, 2048), 2048), ((1024, -1), 65_536), ((-1, -1), None)]
)
def test_a_server_may_open_as_many_files_as_the_system_allows(monkeypatch, limits, raised):
    set_to = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda kind, pair: set_to.append(pair))
    connections.guard(connections.Guarded.limits)
    assert set_to == ([] if raised is None else [(raised, limits[1])])


def test_an_address_does_not_take_all_connections(server, endless, monkeypatch):
    wait_for_no_connections()
    monkeypatch.setattr(connections.Guarded.limits, "max_by_address", 10)
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(closing(connected(server)))
        with closing(connected(server)) as refused:
            assert status(answered(refused)) == 503
        with closing(connected(server, source_address=("127.0.0.2", 0))) as other:
            other.sendall(b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert status(answered(other)) == 404
    wait_for_no_connections()


def test_half_of_a_character_is_refused(server):
    assert post(server, "/gradio_api/component_server", rb'{"data": "\uD800"}') == 400
    for text in (rb'"\ud83d\ude00"', rb'"\\ud800"', "😀".encode()):
        assert not _has_half_characters(bytearray(text))


def test_clients_that_hang_up_leave_no_traceback(server, logged, caplog):
    with caplog.at_level(logging.WARNING):
        for number in range(40):
            with closing(connected(server)) as connection:
                body = b'{"data": [' if number % 2 else b""
                connection.sendall(
                    head("/gradio_api/queue/join", JSON.strip(), b"Content-Length: 5000") + body
                )
        assert is_well(server)
        wait_for_no_connections()
    assert not logged()
