"""The address of the client of a request, behind proxies."""

from __future__ import annotations

import pytest

from playground.people.addresses import is_loopback
from playground.people.client_address import ClientAddress, client_address
from tests import loops

MALFORMED = (
    *("nonsense", "another", "256.1.1.1", "1.2.3", "1.2.3.4:", "1.2.3.4:x", "1.2.3.4:123456"),
    *("[1:2", "[]:80", "[::1]x", "[::1]:x", "1.2.3.4%eth0", "0x7f.0.0.1", "127.1", "x" * 5000),
)


@pytest.mark.parametrize(
    "forwarded, expected",
    [
        (None, "127.0.0.1"),
        ("81.2.69.142", "81.2.69.142"),
        ("81.2.69.142, 10.108.3.7", "81.2.69.142"),
        ("1.1.1.1, 81.2.69.142, 10.108.3.7, 192.168.0.2", "81.2.69.142"),
        ("2a00:1450:4001:82a::200e, fd00::7", "2a00:1450:4001:82a::"),
        # Another address of that client's network.
        ("2a00:1450:4001:82a:9:8:7:6", "2a00:1450:4001:82a::"),
        ("::ffff:81.2.69.142", "81.2.69.142"),
        ("10.108.3.7", "10.108.3.7"),
        ("81.2.69.142:5678, 10.108.3.7:80", "81.2.69.142"),
        ("2A00:1450:4001:82A::200E", "2a00:1450:4001:82a::"),
        ("[2a00:1450:4001:82a::200e]:443, [fd00::7]:80", "2a00:1450:4001:82a::"),
        ("::FFFF:81.2.69.142, ::ffff:10.108.3.7", "81.2.69.142"),
        ("81.2.69.142, fe80::1%eth0", "81.2.69.142"),
        ("::1%lo", "::1"),
        (",81.2.69.142,, ", "81.2.69.142"),
        (" , ", "127.0.0.1"),
        # All that is no address is one client.
        *((malformed, "unknown") for malformed in MALFORMED),
    ],
)
def test_the_visitors_address_is_the_last_outside_of_the_inner_proxies(forwarded, expected):
    lines = [] if forwarded is None else [forwarded]
    assert sender(lines, proxies=None) == expected
    assert sender(lines, proxies=0) == "127.0.0.1"


@pytest.mark.parametrize(
    "proxies, lines, expected",
    [
        (1, ["10.0.0.9"], "10.0.0.9"),  # a visitor in the proxy's network
        (1, ["8.8.8.8, 10.0.0.9"], "10.0.0.9"),  # a visitor who invents an address
        (1, ["8.8.8.8", "10.0.0.9"], "10.0.0.9"),  # the proxy adds a line
        (2, ["8.8.8.8, 81.2.69.142, 10.0.0.1"], "81.2.69.142"),
        (2, ["10.0.0.1"], "10.0.0.1"),  # from the inner proxy itself
        (1, [], "127.0.0.1"),
        (1, ["8.8.8.8", "81.2.69.142:5678"], "81.2.69.142"),
        (1, ["8.8.8.8, [2A00:1450:4001:82A::200E]:443"], "2a00:1450:4001:82a::"),
        (1, ["8.8.8.8, fe80::1%eth0"], "fe80::"),
        (1, ["8.8.8.8, ::ffff:127.0.0.1"], "127.0.0.1"),
        (1, ["8.8.8.8, unknown"], "unknown"),
        (2, ["8.8.8.8, nonsense, 81.2.69.142, 10.0.0.1,"], "81.2.69.142"),
    ],
)
def test_the_visitors_address_is_the_one_that_the_outermost_proxy_saw(proxies, lines, expected):
    assert sender(lines, proxies) == expected


def sender(lines, proxies):
    """The address of a request with these lines of X-Forwarded-For."""
    addresses = []

    async def app(scope, receive, send):
        addresses.append(client_address())

    headers = [(b"x-forwarded-for", line.encode()) for line in lines]
    scope = {"type": "http", "headers": headers, "client": ("127.0.0.1", 5)}
    loops.run(ClientAddress(app, proxies)(scope, None, None))
    return addresses[0]


def test_a_loopback_address_may_be_written_in_many_ways():
    for host in ("127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "::1%lo", "LocalHost"):
        assert is_loopback(host), host
    for host in ("8.8.8.8", "::ffff:8.8.8.8", "localhost.evil.example", "127.1", "", "::"):
        assert not is_loopback(host), host
