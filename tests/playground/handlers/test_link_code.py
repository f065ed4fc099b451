"""The QR code of a link to the present settings."""

from __future__ import annotations

import io

import pytest
import segno
from starlette.applications import Starlette
from starlette.testclient import TestClient

from playground.handlers import link_code
from playground.handlers.link_code import link_code_route
from playground.settings import Settings

PUBLIC = {"PLAYGROUND_ADDRESS": "https://align.example.org/lab"}


@pytest.fixture
def ask():
    def browser(environment):
        route = link_code_route(Settings.read(environment))
        client = TestClient(Starlette(routes=[route]))
        return lambda **query: client.get("/link.svg", params=query)

    return browser


def code_of(link):
    drawn = io.BytesIO()
    segno.make_qr(link, error="l").save(drawn, kind="svg", border=2, light="#fff")
    return drawn.getvalue()


def test_the_code_leads_to_this_server_with_settings_and_race_alone(ask):
    answer = ask(PUBLIC)(
        beta="0.3",
        present="",
        key="secret",
        url="//evil",
        race="hacking",
        task="capitals",
        lang="zh",
    )
    assert answer.headers["content-type"].startswith("image/svg+xml")
    link = "https://align.example.org/lab/?task=capitals&beta=0.3&race=hacking&lang=zh"
    assert answer.content == code_of(link)
    assert ask(PUBLIC)(task="<&").content == code_of("https://align.example.org/lab/?task=%3C%26")


def test_what_no_phone_can_open_is_refused(ask, monkeypatch):
    monkeypatch.setattr(link_code, "LIMIT", (1e-6, 3))
    assert ask({})(beta="0.3").status_code == 404, "it listens on the loopback interface only"
    browser = ask(PUBLIC)
    assert browser(task="x" * 1000).status_code == 413
    assert [browser().status_code for _ in range(3)] == [200, 200, 429], "by address"
