"""No call of a client waits for a process that starts slowly, hangs or was killed."""

from __future__ import annotations

import math
import os
import signal
import threading
from datetime import datetime
from multiprocessing import forkserver
from types import SimpleNamespace

import fake_training
import pytest

from align_core.config.errors import ConfigError
from align_core.config.run_config import resolve
from align_core.runs import client as client_module
from align_core.runs import forkserver as forkserver_module
from align_core.runs.client import Busy, Client
from align_core.runs.directory import RunDirectory
from tests.runs.conftest import LONG, SHORT, started, status
from tests.waiting import gone, until


@pytest.fixture
def cold(monkeypatch):
    """An event; until it is set, the forkserver's imports last."""
    imported, start = threading.Event(), forkserver_module.start

    def wait(process):
        imported.wait(60)  # what waits for the start sees the process then
        start(process)

    monkeypatch.setattr(forkserver_module, "start", wait)
    yield imported
    imported.set()


@pytest.fixture
def own_forkserver(monkeypatch):
    """A forkserver of this test's own, which imports torch alone; the one of all tests lives on."""
    own = forkserver.ForkServer()
    monkeypatch.setattr(forkserver, "_forkserver", own)
    for name in ("ensure_running", "connect_to_new_process", "set_forkserver_preload"):
        monkeypatch.setattr(forkserver, name, getattr(own, name))
    monkeypatch.setattr(forkserver_module, "_PRELOADED", "torch")
    forkserver_module.preload()
    yield
    own._stop()


def test_nothing_waits_for_a_cold_start(client, cold):
    run = client.start(**LONG)
    assert client.live() == [run] and client.current() == run and not client.free()
    assert client.pid() is None and client.status(run) is None and client.events(run) == ([], 0)
    assert client.send(run, "set", beta=0.3) and client.send(run, "pause")
    with pytest.raises(Busy):
        client.start(**SHORT)
    assert client.pid() is None, "all of this was before the start"
    cold.set()
    until(lambda: status(client, run) == "paused")
    assert [e["settings"] for e in client.events(run)[0] if e["kind"] == "change"] == [
        {"beta": 0.3}
    ], "the command sent before the start arrived"


def test_a_run_stops_at_once_before_its_start(client, cold):
    run = client.start(**LONG)
    assert client.send(run, "stop")
    assert client.live() == [] and client.free()
    assert client.events(run)[0] == [
        {"kind": "status", "step": 0, "seconds": 0.0, "status": "stopped", "message": ""}
    ]
    second = client.start(**LONG)
    cold.set()
    until(lambda: client.events(second)[0])
    assert len(client.events(run)[0]) == 1, "the first one was killed when it started"


def test_a_process_that_cannot_be_started_fails_its_run(client, monkeypatch):
    """Whatever is raised, the run ends, and another one can start."""
    for error, says in (
        (OSError(12, "no memory"), "could not be started"),
        (RuntimeError("can't start new thread"), "could not be started: can't start new thread"),
        (EOFError(), "so did"),
    ):

        def fail(process, error=error):
            raise error

        monkeypatch.setattr(forkserver_module, "start", fail)
        run = client.start(**LONG)
        until(lambda run=run: status(client, run) == "failed")
        assert says in client.status(run)["message"]
        assert client.free()


def test_a_process_that_nobody_can_send_to_is_killed(client, monkeypatch):
    """The thread that sends is the second one of a child."""
    run_thread, names = threading.Thread.start, []

    def start(thread):
        names.append(getattr(thread._target, "__name__", ""))
        if names[-1] == "_send":
            raise RuntimeError("can't start new thread")
        run_thread(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    run = client.start(**LONG)
    process = client._processes[run]
    until(lambda: status(client, run) == "failed")
    assert "can't start new thread" in client.status(run)["message"] and "_send" in names
    until(lambda: gone(process.pid))


@pytest.mark.parametrize("error", [OSError(24, "too many open files"), RuntimeError("no thread")])
def test_a_run_without_memory_for_its_process_leaves_nothing(client, monkeypatch, error):
    def fail(*_, **__):
        raise error

    with monkeypatch.context() as full:
        full.setattr(client_module.child_process.Child, "__init__", fail)
        with pytest.raises(ConfigError, match="could not be started: ") as refused:
            client.start(**SHORT)
    assert [line.code for line in refused.value.lines] == ["not_started"]
    assert [*client.root.iterdir()] == [] and client.live() == []
    assert status(client, started(client)) == "running"


def test_a_suspended_process_delays_nobody_and_is_killed(client, monkeypatch):
    run = started(client)
    os.kill(client.pid(), signal.SIGSTOP)  # it does not read its pipe any more
    taken = [client.send(run, "set", beta=0.1 + i / 1e5) for i in range(3000)]
    assert taken[0] and not taken[-1], "commands that no process reads are dropped"
    assert status(client, run) == "running"
    monkeypatch.setattr(client_module, "STOP_TIMEOUT", 0.1)
    client.send(run, "stop")
    until(lambda: status(client, run) == "failed")
    assert "did not stop within" in client.status(run)["message"]


@pytest.mark.slow
def test_a_run_survives_its_forkserver_and_the_next_run_starts_another(
    own_forkserver, client, caplog
):
    caplog.set_level("INFO", "align_core")
    run = started(client, steps=200)
    client.send(run, "pause")
    until(lambda: status(client, run) == "paused")
    server = forkserver._forkserver._forkserver_pid
    os.kill(server, signal.SIGKILL)
    assert client.live() == [run]
    client.send(run, "resume")
    until(lambda: status(client, run) == "finished")
    until(lambda: client.current() is None)
    assert client.status(run)["message"] == ""
    second = started(client, steps=5)
    assert forkserver._forkserver._forkserver_pid != server
    until(lambda: status(client, second) == "finished")
    until(lambda: client.current() is None)
    end = {"status": "finished", "why": None}
    logged = [(record.getMessage(), getattr(record, "fields", {})) for record in caplog.records]
    assert [line for line in logged if line[1].get("run") in (run, second)] == [
        ("start", {"run": run}),
        ("end", {"run": run, "step": 200, "exit_code": None} | end),
        ("start", {"run": second}),
        ("end", {"run": second, "step": 5, "exit_code": 0} | end),
    ]


def test_waiting_for_the_place_of_an_ended_run_does_not_hold_the_lock(client, monkeypatch):
    """The hanging process of an ended run keeps its place; a call about it returns at once."""
    run = client.start(**SHORT, seed=fake_training.LINGERS)
    until(lambda: status(client, run) == "finished")
    os.kill(client.pid(), signal.SIGSTOP)
    waits, wait = threading.Event(), client_module._Process.wait
    monkeypatch.setattr(client_module._Process, "wait", lambda *own: (waits.set(), wait(*own)))
    waiting = threading.Thread(target=client.make_room)
    waiting.start()
    assert waits.wait(60)
    with pytest.raises(Busy):
        client.start(**SHORT)
    with pytest.raises(ConfigError):
        client.start(method="dpo", task="opera")
    assert waiting.is_alive()
    os.kill(client.pid(), signal.SIGKILL)
    waiting.join()


def test_the_runs_that_were_used_lately(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(client_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(client_module, "MAX_USED_KEPT", 2)
    client = Client(tmp_path)
    client.use("a")
    now[0] = 107.0
    client.use("b")
    now[0] = 110.0
    assert (client.used(3.5), client.used(10), client.used(10.5)) == (["b"], ["b"], ["a", "b"])
    client.use("a")
    client.use("c")  # of three the one that was used last
    assert client.used(99) == ["a", "c"]


def test_the_oldest_of_the_ended_runs_makes_room(tmp_path, monkeypatch):
    """Two places: of the processes a, b and c, the runs of b and c have ended."""
    client, calls = Client(tmp_path, at_once=3), []
    client._processes = {
        name: SimpleNamespace(
            send=lambda message, name=name: calls.append((name, message)),
            wait=lambda seconds, name=name: calls.append((name, seconds)),
        )
        for name in "abc"
    }
    monkeypatch.setattr(client, "_alive", lambda: [*"abc"])
    monkeypatch.setattr(client, "_ended", lambda run: run in "bc")
    client.make_room()
    assert calls == [("b", {"command": "stop"}), ("b", client_module.EXIT_TIMEOUT)]
    calls.clear()
    client.at_once = 4
    client.make_room()
    assert calls == [], "there is a free place"
    client.at_once, client._ended = 3, lambda run: False
    client.make_room()
    client._ended, client.closed = lambda run: True, True
    client.make_room()
    assert calls == [], "none has ended, or the client is closed"
    client._processes = {}


def test_a_place_is_free_below_the_number_of_runs_at_once(tmp_path, monkeypatch):
    client = Client(tmp_path, at_once=2)
    live = []
    monkeypatch.setattr(client, "live", lambda: live)
    assert client.free()
    live.append("a")
    assert client.free()
    live.append("b")
    assert not client.free()
    live.clear()
    client.closed = True
    assert not client.free()
    assert Client(tmp_path).at_once == 1


def test_runs_of_one_second_are_numbered(tmp_path, monkeypatch):
    client = Client(tmp_path)
    monkeypatch.setattr(
        client_module, "datetime", SimpleNamespace(now=lambda: datetime(2026, 1, 2, 3, 4, 5))
    )
    names = [client._new_name("dpo", "reviews") for _ in range(3)]
    first = "2026-01-02-030405-dpo-reviews"
    assert names == [first, f"{first}-2", f"{first}-3"]


def test_the_newest_event_of_a_log_that_could_not_be_written_is_ahead_of_all(tmp_path, fake_assets):
    client = Client(tmp_path)
    name = client._new_name("dpo", "reviews")
    run = RunDirectory.create(tmp_path / name, resolve("dpo", "reviews"))
    assert client.end_offset(name) == 0
    run.append({"kind": "resume", "step": 1, "seconds": 1.0})
    run.close()
    assert client.end_offset(name) == run.size() > 0
    client._unwritten[name] = {"kind": "status"}
    assert client.end_offset(name) == math.inf
    assert client.events(name)[0][-1] == {"kind": "status"}
