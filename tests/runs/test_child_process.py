"""Child processes: their start, their end and the messages about it."""

from __future__ import annotations

import multiprocessing
import os
import threading
from types import SimpleNamespace

import pytest

from align_core.config.messages import Message, plain, to_event
from align_core.runs import child_process, forkserver
from align_core.runs.child_process import ProcessGroup
from tests.waiting import gone, until

TOO_LONG = Message("time_limit", {}, "The time limit was reached.")
MEMORY = Message("memory", {}, "There is not enough memory")
SCRIPT = """
import json, os, subprocess, sys, time
print("what a library prints")
print("[1]")
print(json.dumps({"done": 1, "pid": subprocess.Popen(["sleep", "1000"]).pid}), flush=True)
"""


@pytest.fixture
def group(tmp_path, monkeypatch):
    """group(ending) starts a process group of a script with `ending` and awaits its first line."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    groups = []

    def start(ending):
        (tmp_path / "scripted_group.py").write_text(SCRIPT + ending)
        groups.append(ProcessGroup("scripted_group"))
        until(lambda: groups[-1].progress)
        return groups[-1]

    yield start
    for group in groups:
        group.kill(plain(""))
        group.wait()


def test_the_variables_of_a_starting_forkserver_are_of_no_other_process():
    """They are in os.environ for a moment; a copy that is made then could even fail."""
    copies = []
    thread = threading.Thread(target=lambda: copies.append(forkserver.environment()))
    with forkserver._lock, forkserver._environment():
        assert "JE_ARROW_MALLOC_CONF" in os.environ
        thread.start()
        thread.join(0.1)
        assert thread.is_alive() and not copies
    thread.join()
    assert copies == [dict(os.environ)] and "JE_ARROW_MALLOC_CONF" not in copies[0]


@pytest.mark.parametrize(
    ("ending", "code", "why"),
    [
        ("sys.exit(3)", 3, ("ended", {"code": 3})),
        ("os.kill(os.getpid(), 9)", -9, ("killed", {})),
        ("os.kill(os.getpid(), 11)", -11, ("crashed", {"signal": 11})),
        (f"print(json.dumps({to_event(MEMORY)})); sys.exit(1)", 1, ("memory", {})),
    ],
)
def test_a_group_reports_why_it_ended_and_leaves_no_process(group, ending, code, why):
    one = group(ending)
    assert one.wait() == code
    assert (one.exit_reason().code, one.exit_reason().values) == why
    assert one.progress["done"] == 1 and one.killed_for is None
    until(lambda: gone(one.progress["pid"]))


def test_a_whole_group_is_killed_with_a_reason(group):
    one = group("time.sleep(1000)")
    one.kill(TOO_LONG)
    assert one.wait() == -9
    assert one.killed_for == one.exit_reason() == TOO_LONG
    until(lambda: gone(one.progress["pid"]))
    one.kill(MEMORY)
    assert one.killed_for == TOO_LONG, "it has ended already"


def test_a_group_has_its_own_session(group):
    one = group("time.sleep(1000)")
    assert os.getsid(one.progress["pid"]) != os.getsid(0)


def test_an_exit_code_has_a_message():
    """Minus the number of the signal that ended the process; None if nobody knows it."""

    def told(message):
        return message.code, message.values

    messages = {code: told(child_process._exit_message(code)) for code in (None, -9, -1, -11, 0, 1)}
    assert messages == {
        None: ("ended_both", {}),
        -9: ("killed", {}),
        -1: ("crashed", {"signal": 1}),
        -11: ("crashed", {"signal": 11}),
        0: ("ended", {"code": 0}),
        1: ("ended", {"code": 1}),
    }
    assert told(child_process.start_message(EOFError())) == ("ended_both", {})
    assert told(child_process.start_message(OSError("none"))) == ("not_started", {"error": "none"})


def test_a_forkserver_that_starts_no_child_in_time_is_replaced(monkeypatch):
    calls = []
    timer = SimpleNamespace(
        start=lambda: calls.append("timer"), cancel=lambda: calls.append("cancelled")
    )
    timers = SimpleNamespace(Timer=lambda *given: (calls.append(given), timer)[1])
    monkeypatch.setattr(forkserver, "threading", timers)
    monkeypatch.setattr(forkserver, "_ensure", lambda: None)
    forkserver.start(SimpleNamespace(start=lambda: calls.append("process")))
    limit = forkserver.START_TIMEOUT, forkserver._replace
    assert calls == [limit, "timer", "process", "cancelled"] and timer.daemon


def test_a_child_whose_parent_has_gone_ends_without_a_traceback(tmp_path, monkeypatch, capsys):
    (tmp_path / "answering.py").write_text("def main(connection):\n    connection.send('late')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(child_process, "_lifeline", None, raising=False)
    parent, child = multiprocessing.Pipe()
    parent.close()
    with pytest.raises(SystemExit) as ended:
        child_process._enter("answering", child, child)
    assert ended.value.code == 1 and capsys.readouterr().err == ""
