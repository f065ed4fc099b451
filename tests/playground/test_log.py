"""The log: a line for each start, end, refusal and fault, without visitors' data."""

from __future__ import annotations

import io
import json
import logging
import threading
import traceback
import warnings
from types import SimpleNamespace

import pytest

from align_core.config.errors import ConfigError, option_error
from align_core.inference.client import Unanswered
from align_core.runs import forkserver
from playground import text
from playground.handlers.query_handlers import QueryHandlers
from playground.handlers.train import TrainHandlers
from playground.people import log
from playground.people.json_requests import Refused
from playground.people.presenters import Presenters
from playground.people.run_queue import RunQueue
from playground.people.visitors import Visitors

SECRET = "the visitor's secret <b>"
answer = QueryHandlers(None, None, text.load("en"), {})._answer


@pytest.fixture
def lines(monkeypatch):
    """lines(as_json) sets up the log, and returns a function that returns its lines so far."""
    root, levels = logging.getLogger(), {}
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in ("playground", "align_core")}
    monkeypatch.setattr(traceback, "print_exc", traceback.print_exc)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)

    def set_up(as_json=True):
        output = io.StringIO()
        monkeypatch.setattr(log.sys, "stderr", output)
        log.set_up(as_json)

        def read():
            written = output.getvalue().splitlines()
            return [json.loads(line) for line in written] if as_json else written

        return read

    yield set_up
    logging.captureWarnings(False)
    root.handlers[:], _ = handlers, root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def events(read):
    return [
        {key: value for key, value in line.items() if key not in ("time", "level")}
        for line in read()
    ]


def test_runs_that_cannot_start_are_logged(client, lines, monkeypatch):
    def fail(process):
        raise OSError(12, SECRET)

    monkeypatch.setattr(forkserver, "start", fail)
    read = lines(as_json=False)
    run = client.start(method="reward", task="reviews")
    while client.current():
        client.live()
    assert [line.split(" ")[1:] for line in read()] == [
        ["info", "start", f"run={run}"],
        ["warning", "fault", f"run={run}", "status=failed", "step=0", "why=not_started"],
    ]


def test_a_refused_run_is_logged_with_its_settings(client, lines):
    read = lines()
    queue = RunQueue(client, Visitors(client))
    handlers = TrainHandlers(client, text.load("en"), queue)
    controls = handlers.choose({"task": "reviews", "method": "ppo"})
    values = {name: control["value"] for name, control in controls.items() if "value" in control}
    values |= {"task": "reviews", "method": "ppo", "pace": 0.0}
    handlers.start(values | {"steps": 0, "seed": SECRET}, visitor="eve")
    (line,) = read()
    assert (line["event"], line["what"], set(line["why"].split(","))) == (
        *("refusal", "run", {"steps", "seed"}),
    )


def test_logged_refusals_have_the_reason_and_no_content(lines):
    read = lines()
    Presenters("correct horse battery").sign_in("ann", SECRET, "192.0.2.7")
    Refused(422, "malformed", SECRET).response()

    def invalid(**_):
        raise ConfigError(option_error("--prompt", SECRET, "a text"))

    answer(invalid, {}, ())
    assert [(line["what"], line["why"]) for line in read()] == [
        ("key", "wrong"),
        ("request", "malformed"),
        ("question", "option"),
    ] or "invalid" in str(read())
    assert "secret" not in str(read()) and "192.0.2.7" not in str(read())


def test_a_logged_error_is_one_line_with_its_place(lines):
    read = lines()

    def broken(**_):
        raise Unanswered(None)

    try:
        answer(broken, {}, ())
    except AttributeError:
        traceback.print_exc()
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    first, second = events(read)
    assert first.pop("where").startswith("playground/handlers/query_handlers.py:")
    assert first == {"event": "fault", "error": "AttributeError"}
    assert (second["error"], second["where"].partition(":")[0]) == (
        *("ZeroDivisionError", "test_log.py"),
    )


def test_lines_of_libraries_have_the_same_form(lines):
    read = lines()
    server = logging.getLogger("uvicorn.error")
    server.addHandler(logging.StreamHandler(io.StringIO()))
    server.propagate = False
    log.take_over_server()
    server.error("Exception in ASGI application\nTraceback", exc_info=ValueError(SECRET))
    server.info("Waiting for application startup.")
    warnings.warn("an old option", stacklevel=1)
    fault, warned = events(read)
    assert fault == {
        "event": "library",
        "of": "uvicorn.error",
        "says": "Exception in ASGI application",
        "error": "ValueError",
    }
    assert (warned["of"], warned["says"].endswith("an old option")) == ("py.warnings", True)


def test_a_flood_is_counted(lines, monkeypatch):
    read = lines()
    clock = [600.0]
    monkeypatch.setattr(log, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    for _ in range(log.MAX_PER_MINUTE + 30):
        log.refused("request", "often")
    log.refused("request", "full")
    assert len(read()) == log.MAX_PER_MINUTE + 1
    clock[0] += 60
    log.refused("request", "often")
    log.refused("request", "often")
    assert [line.get("left_out") for line in read()[-2:]] == [30, None]
