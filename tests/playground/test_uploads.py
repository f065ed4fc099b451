"""Gradio's own routes that write a stranger's files are closed."""

import gradio as gr
import pytest
from starlette.testclient import TestClient

from playground.app import UPLOADS, Page
from playground.settings import Settings


@pytest.fixture(scope="module")
def server():
    with Page() as page:
        gr.HTML("")
    page.server = Settings.read({})
    app, _, _ = page.launch(prevent_thread_lock=True, quiet=True)
    yield TestClient(app, base_url="http://127.0.0.1")
    page.close()


@pytest.mark.parametrize("path", UPLOADS)
def test_an_upload_is_refused(server, path):
    answer = server.post(path, files={"files": ("a.txt", b"x" * 1000)})
    assert (answer.status_code, answer.json()["why"]) == (403, "closed")
