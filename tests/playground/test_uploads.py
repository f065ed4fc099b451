"""Gradio's own routes that no page needs are closed."""

import gradio as gr
import pytest
from starlette.testclient import TestClient

from playground.app import CLOSED, Page
from playground.settings import Settings


@pytest.fixture(scope="module")
def server():
    with Page() as page:
        gr.HTML("")
    page.server = Settings.read({})
    app, _, _ = page.launch(prevent_thread_lock=True, quiet=True)
    yield TestClient(app, base_url="http://127.0.0.1")
    page.close()


@pytest.mark.parametrize("path", CLOSED)
def test_a_route_that_no_page_needs_is_closed(server, path):
    asked = path.replace("{rest:path}", "https://evil.example/x")
    sent = {"files": {"files": ("a.txt", b"x" * 1000)}} if CLOSED[path] == "POST" else {}
    answer = server.request(CLOSED[path], asked, follow_redirects=False, **sent)
    assert (answer.status_code, answer.json()["why"]) == (403, "closed")
