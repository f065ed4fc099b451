"""Gradio as the page uses it: routes that no page needs are closed, a page's state is small."""

import gradio as gr
import pytest
from gradio import networking
from starlette.testclient import TestClient

from playground.people import page_states
from playground.people.page_states import PageState
from playground.server.page import CLOSED, Page
from playground.settings import Settings


@pytest.fixture(scope="module")
def page():
    with Page() as page:
        page.choice = gr.Dropdown(["a"], elem_id="choice")
        page.load(lambda: gr.update(choices=["a", "b"]), None, page.choice, queue=False)
        page.load(lambda value: value, page.choice, page.choice, queue=False)
    page.server = Settings.read({})
    with pytest.MonkeyPatch.context() as patched:
        # A server has three seconds to answer, which a busy machine may need.
        patched.setattr(networking, "url_ok", lambda url: True)
        app, _, _ = page.launch(prevent_thread_lock=True, quiet=True)
    page.client = TestClient(app, base_url="http://127.0.0.1")
    yield page
    page.close()


@pytest.mark.parametrize("path", CLOSED)
def test_a_route_that_no_page_needs_is_closed(page, path):
    for rest in ("https://evil.example/x", "data?session_hash=x", "v2/x", "join"):
        asked = path.replace("{rest:path}", rest)
        sent = {"files": {"files": ("a.txt", b"x" * 1000)}, "follow_redirects": False}
        for answer in (page.client.get(asked), page.client.post(asked, **sent)):
            assert (answer.status_code, answer.json()["why"]) == (403, "closed")


@pytest.mark.parametrize("folder", ["static", "assets", "svelte"])
def test_a_file_name_that_is_too_long_is_unknown(page, folder):
    answer = page.client.get(f"/{folder}/{'a' * 5000}")
    assert (answer.status_code, answer.json()["line"]) == (404, "this page has no such file")


def test_a_form_without_a_function_is_refused(page):
    form = {"files": {"files": ("a.txt", b"x")}, "data": {"component_id": "1"}}
    answer = page.client.post("/gradio_api/component_server", **form)
    assert (answer.status_code, answer.json()["why"]) == (404, "unknown")


def fire(page, session, event, *data):
    """The answer to an event of the page with this session."""
    query = {"data": data, "fn_index": event, "session_hash": session}
    return page.client.post("/gradio_api/run/predict", json=query)


def test_a_new_choice_is_valid_on_the_page_that_got_it_and_only_there(page, caplog):
    assert fire(page, "ann", 0).status_code == 200
    assert fire(page, "ann", 1, "b").json()["data"] == ["b"]
    refused = fire(page, "bob", 1, "b")
    assert refused.status_code == 422
    assert refused.json()["line"] == "choice: expected one of ['a'], got 'b'"


def test_a_state_describes_no_component_but_what_an_event_replaced(page):
    fire(page, "eve", 1, "a")
    state = page.client.app.state_holder["eve"]
    assert isinstance(state, PageState) and state.config_values == {}
    fire(page, "eve", 0)
    assert [*state.config_values] == [page.choice._id]


def test_invented_sessions_take_no_state_away_from_the_page_of_another_address(page, monkeypatch):
    states = page.client.app.state_holder
    for kept in (states.session_data, states._addresses, states.time_last_used):
        kept.clear()
    monkeypatch.setattr(states, "capacity", 5)
    for address, names in (("ann's", ["ann"]), ("hall", ["bob", "eve"]), ("mallory's", range(9))):
        monkeypatch.setattr(page_states, "client_address", lambda address=address: address)
        for name in names:
            fire(page, f"{name}" + 1000 * "x", 0)
    assert [name.rstrip("x") for name in states.session_data] == ["ann", "bob", "eve", "7", "8"]
    assert {*map(len, states.session_data)} == {64}
    assert states._addresses.keys() == states.time_last_used.keys() == states.session_data.keys()


def test_the_page_is_rendered_once_and_names_the_server_as_the_client_does(page):
    for path, root in (("/", 'const root = "http://127.0.0.1"'), ("/config", '"http://127.0.0.1')):
        answer = page.client.get(path)
        assert root in answer.text and "page.invalid" not in answer.text
        tag = {"If-None-Match": answer.headers["ETag"]}
        assert page.client.get(path, headers=tag).status_code == 304
