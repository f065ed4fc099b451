"""Whose address a request comes from."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from playground.people.json_requests import address


@pytest.mark.parametrize(
    "forwarded, sender",
    [
        (None, "127.0.0.1"),
        ("81.2.69.142", "81.2.69.142"),
        ("81.2.69.142, 10.108.3.7", "81.2.69.142"),
        ("1.1.1.1, 81.2.69.142, 10.108.3.7, 192.168.0.2", "81.2.69.142"),
        ("2a00:1450:4001:82a::200e, fd00::7", "2a00:1450:4001:82a::200e"),
        ("10.108.3.7", "10.108.3.7"),
        ("nonsense", "nonsense"),
    ],
)
def test_the_last_address_that_is_not_of_an_inner_proxy(forwarded, sender):
    lines = [] if forwarded is None else [forwarded]
    assert address(request(*lines), proxies=None) == sender
    assert address(request(*lines), proxies=0) == "127.0.0.1"


@pytest.mark.parametrize(
    "proxies, lines, sender",
    [
        (1, ["10.0.0.9"], "10.0.0.9"),  # a visitor in the network of the proxy
        (1, ["8.8.8.8, 10.0.0.9"], "10.0.0.9"),  # one who invents an address
        (1, ["8.8.8.8", "10.0.0.9"], "10.0.0.9"),  # the proxy adds a line
        (2, ["8.8.8.8, 81.2.69.142, 10.0.0.1"], "81.2.69.142"),
        (2, ["10.0.0.1"], "10.0.0.1"),  # from the inner proxy itself
        (1, [], "127.0.0.1"),
    ],
)
def test_the_address_that_the_outermost_proxy_was_asked_from(proxies, lines, sender):
    assert address(request(*lines), proxies) == sender


def request(*lines):
    """A request with these lines of X-Forwarded-For."""
    headers = [(b"x-forwarded-for", line.encode()) for line in lines]
    return Request({"type": "http", "headers": headers, "client": ("127.0.0.1", 5)})
