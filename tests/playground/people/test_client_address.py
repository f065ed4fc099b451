"""The address of the client of a request, behind proxies."""

from __future__ import annotations

import pytest

from playground.people.client_address import ClientAddress, client_address
from tests import loops


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
        ("nonsense", "nonsense"),
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
