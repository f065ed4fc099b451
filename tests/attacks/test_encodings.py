"""A body in another encoding than UTF-8 is refused, because its limits are checked in UTF-8."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from playground.people.bodies import Bodies


async def _echo(request):
    return JSONResponse({"got": await request.json()})


@pytest.fixture
def browser():
    app = Starlette(routes=[Route("/", _echo, methods=["POST"])])
    return TestClient(Bodies(app, larger={}, max_bytes=200_000, seconds=5))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
@pytest.mark.parametrize("text", ['{"a": 1}', r'["\ud800"]', "[" * 150 + "]" * 150])
def test_json_in_another_encoding_is_refused(browser, encoding, text):
    answer = browser.post("/", content=text.encode(encoding))
    assert answer.status_code == 400 and "UTF-8" in answer.json()["line"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_json_in_utf_8_passes(browser, encoding):
    assert browser.post("/", content='{"a": "é"}'.encode(encoding)).json() == {"got": {"a": "é"}}
