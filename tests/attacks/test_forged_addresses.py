"""What a client says of its own address does not change its address, nor what is its host."""

from __future__ import annotations

import http.client
from dataclasses import replace

import gradio as gr
import pytest
from gradio import networking
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from playground.app import Page
from playground.people.client_address import client_address
from playground.settings import Settings

FORGED = ("8.8.8.8", "127.0.0.1:80", "[2001:db8::1]:443", "nonsense", "8.8.8.8, 9.9.9.9")


async def _address(request: Request) -> JSONResponse:
    return JSONResponse(client_address())


@pytest.fixture(scope="module")
def port():
    """The port of a server, open to other machines, that answers /address with the client's."""
    with Page() as page:
        gr.HTML("")
    page.extra_routes = [Route("/address", _address)]
    page.server = replace(Settings.read({}), host="0.0.0.0")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(networking, "url_ok", lambda url: True)
        page.launch(server_name="0.0.0.0", prevent_thread_lock=True, quiet=True)
    yield page.server_port
    page.close()


def ask(port, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET", "/address", headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content.decode()


def test_without_proxies_a_client_cannot_choose_its_address(port):
    for forged in FORGED:
        assert ask(port, X_Forwarded_For=forged) == (200, '"127.0.0.1"'), forged


def test_a_rebound_name_is_refused_whatever_address_the_page_invents(port):
    """A page that was reached by DNS rebinding is of its own origin: it may set this header."""
    for forged in FORGED:
        status, line = ask(port, Host=f"evil.example:{port}", X_Forwarded_For=forged)
        assert status == 403 and "by its own name" in line, forged
