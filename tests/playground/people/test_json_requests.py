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
    headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]
    request = Request({"type": "http", "headers": headers, "client": ("127.0.0.1", 5)})
    assert address(request, proxied=True) == sender
    assert address(request, proxied=False) == "127.0.0.1"
