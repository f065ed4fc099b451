"""Calls with odd values are refused in one line, and leave no fault in the log."""

from __future__ import annotations

import json
import logging
import math

import gradio as gr
import pytest
from gradio_client import Client as Program
from gradio_client.exceptions import AppError
from starlette.testclient import TestClient

from align_core.runs.client import Client
from playground import app

FILE = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
ODD = (None, [1, "a"], "x" * 20_000, False, 10**400, math.nan, FILE)
RUN, SERVER = "/gradio_api/run/predict", "/gradio_api/component_server"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The page, and a client that asks its server."""
    client = Client(tmp_path_factory.mktemp("odd") / "runs", training="tests.playground.scripted")
    page = app.build(client)
    options = {**app.launch_options(), "server_port": None}
    server, _, _ = page.launch(**options, prevent_thread_lock=True)
    yield page, TestClient(server, base_url="http://127.0.0.1", raise_server_exceptions=False)
    page.close()
    client.close()


def post(browser, path, query):
    query = {"session_hash": "nobody's", **query}
    content = json.dumps(query)  # with NaN, which `json=` refuses
    return browser.post(path, content=content, headers={"Content-Type": "application/json"})


def calls(page):
    """Each function, and a query of it: with odd values one by one, and without valid ones."""
    seen = set()
    for function in page.fns.values():
        call = {"fn_index": function._id}
        values = [getattr(block, "value", None) for block in function.inputs]
        if (function.name, len(values)) in seen:
            continue
        seen.add((function.name, len(values)))
        yield function, {**call, "data": values[:-1]}
        for sent in ({}, {"data": "x"}, {"data": {}}, {"data": math.nan}):
            yield function, {**call, **sent}
        if function.fn is None:  # the browser alone has it
            yield function, {**call, "data": values}
            continue
        if function.name == "start":  # with valid values for the rest it starts runs
            yield from ((function, {**call, "data": [odd] * len(values)}) for odd in ODD)
            continue
        positions = {_kind(block): place for place, block in enumerate(function.inputs)}
        for place in positions.values():
            for odd in ODD:
                yield function, {**call, "data": [*values[:place], odd, *values[place + 1 :]]}


def _kind(block):
    """One for all numbers, whose values are treated alike; the same for lists of choices."""
    return type(block) if isinstance(block, gr.Number | gr.Dropdown) else block.elem_id


def is_one_line(answer):
    """Whether a refusal is one short line of text."""
    line = answer.json()["line"]
    return "\n" not in line and len(line) < 400


def test_every_function_refuses_odd_values_in_one_line(served, caplog, capsys):
    page, browser = served
    wrong, refused = [], set()
    for function, query in calls(page):
        answer = post(browser, RUN, query)
        if answer.status_code != 200:
            refused.add(function.name)
            if not 400 <= answer.status_code < 500 or not is_one_line(answer):
                wrong.append((function.name, str(query)[:200], answer.status_code, answer.text))
    assert not wrong
    assert {"choose", "run_label", "start", "set_pace", "set_live", "stop", "play"} <= refused
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "Traceback" not in capsys.readouterr().err


def test_programs_are_answered_while_the_page_s_own_queue_is_closed(served):
    page, browser = served
    program = Program(f"{page.local_url}api", verbose=False, analytics_enabled=False)
    assert program.predict(beta=0.7, prompts=1, api_name="/optimum")["known"]
    with pytest.raises(AppError, match="There is no run ../runs here"):
        program.predict("The plot", " was good.", model="../runs", api_name="/score")
    program.close()
    for path in ("queue/join", "queue/data?session_hash=nobody's", "call/optimum"):
        assert post(browser, f"/gradio_api/{path}", {}).status_code == 403


def test_a_refusal_says_what_was_expected(served):
    page, browser = served
    lines = {}
    for name, odd in (("set_pace", None), ("set_pace", True), ("choose", []), ("pause", FILE)):
        function = next(f for f in page.fns.values() if f.name == name)
        values = [odd, *(getattr(block, "value", None) for block in function.inputs[1:])]
        answer = post(browser, RUN, {"data": values, "fn_index": function._id})
        lines[name, str(odd)] = answer.json()["line"]
    missing = post(browser, RUN, {"data": [], "fn_index": function._id}).json()["line"]
    assert missing == "expected 1 values, got 0"
    assert lines == {
        ("set_pace", "None"): "pace: expected a number of seconds, got nothing",
        ("set_pace", "True"): "field-pace: expected one of [0.0, 0.5, 2.0], got True",
        ("choose", "[]"): "field-task: expected one of ['reviews', 'capitals', 'manners', 'own'], "
        "got []",
        ("pause", str(FILE)): "expected values that the page's controls can have, got a file or "
        "another kind of value",
    }


def test_a_server_function_that_the_page_does_not_have_is_refused(served):
    _, browser = served
    for odd in ODD:
        for query in (
            {"component_id": odd, "fn_name": "runs"},
            {"component_id": 1, "fn_name": odd},
        ):
            answer = post(browser, SERVER, {"data": None, **query})
            assert 400 <= answer.status_code < 500, (query, answer.text)
