"""The path to which a request for the page is redirected."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from playground.handlers.chosen_language import COOKIE, ChosenLanguage

PATHS = {"en": "", "zh": "zh"}


@pytest.fixture(scope="module")
def server():
    return Starlette(
        routes=[
            Route("/{path:path}", lambda request: PlainTextResponse(request.url.path)),
        ],
        middleware=[Middleware(ChosenLanguage, paths=PATHS)],
    )


def ask(server, path, kept=None, **headers):
    cookies = {COOKIE: kept} if kept else None
    client = TestClient(server, "https://example.org", follow_redirects=False, cookies=cookies)
    return client.get(path, headers=headers)


@pytest.mark.parametrize(
    "path, kept, target",
    [
        ("/", None, None),
        ("/", "zh", "zh"),
        ("/", "en", None),
        ("/", "fr", None),
        ("/?lang=fr", None, None),
        ("/?lang=zh", "en", "zh"),
        ("/?present&lang=zh&key=a+%2B&__theme=dark", None, "zh?present&key=a+%2B&__theme=dark"),
        ("/zh", "en", None),
        ("/zh?lang=en", "zh", "."),
        ("/zh?lang=en&seed=7", None, ".?seed=7"),
        ("/zh/?method=kto&seed=7", None, "../zh?method=kto&seed=7"),
        ("/zh/", "en", "../zh"),
        ("/config?lang=zh", "zh", None),
        ("/config/?method=kto", None, None),
    ],
)
def test_the_languages_order_is_query_then_path_then_cookie(server, path, kept, target):
    answer = ask(server, path, kept)
    assert answer.status_code == (200 if target is None else 307)
    assert answer.headers.get("location") == target
    assert ("lang" in path and target is not None) == ("set-cookie" in answer.headers)


def test_the_choice_is_kept_in_a_frame_of_another_site(server):
    assert ask(server, "/?lang=zh").headers["set-cookie"].startswith(f"{COOKIE}=zh; Path=/; ")
    assert "SameSite=None; Secure; Partitioned" in ask(server, "/?lang=zh").headers["set-cookie"]
    local = TestClient(server, "http://127.0.0.1", follow_redirects=False).get("/?lang=zh")
    assert local.headers["set-cookie"].endswith("SameSite=Lax")
    proxied = TestClient(server, "http://127.0.0.1", follow_redirects=False)
    answer = proxied.get("/?lang=zh", headers={"X-Forwarded-Proto": "https"})
    assert answer.headers["set-cookie"].endswith("Partitioned")
