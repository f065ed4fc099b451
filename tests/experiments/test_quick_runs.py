"""Quick runs of the lab's experiments: their processes and their ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from align_core.config.messages import from_event
from align_core.experiments.quick_runs import QuickRuns, folder_in
from tests.waiting import until

ROOT = Path(__file__).parents[2]
NAME = "overoptimisation"


@pytest.fixture
def start(tmp_path, monkeypatch):
    """start(how) starts a quick run, and returns its QuickRuns after its first part."""
    begun = []

    def act(how, **options):
        monkeypatch.setenv("SCRIPTED_QUICK_RUN", how)
        begun.append(QuickRuns(tmp_path, module="tests.playground.scripted_quick_run"))
        begun[-1].start(NAME, **options)
        return begun[-1]

    yield act
    for quick_runs in begun:
        quick_runs.stop(NAME)
        ended(quick_runs)


def ended(quick_runs, name=NAME):
    until(lambda: name not in quick_runs.live())
    return quick_runs.state(name)


def at_work(quick_runs):
    return until(lambda: (state := quick_runs.state(NAME)).get("done") and state)


def pids(folder):
    return [int(pid) for pid in (folder / NAME / "pids").read_text().split()]


def alive(pid):
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return shown.stdout.strip()[:1] not in ("", "Z")


def test_a_quick_run_reports_its_progress_and_result(start, tmp_path):
    quick_runs = start("awaits", owner="somebody")
    state = at_work(quick_runs)
    assert quick_runs.live() == [NAME]
    assert (state["status"], state["owner"]) == ("running", "somebody")
    assert (state["done"], state["count"]) == (1, 3)
    (tmp_path / "go").touch()
    state = ended(quick_runs)
    assert (state["status"], state["message"], state["owner"]) == ("finished", "", "somebody")
    assert state["ended"] > state["began"]
    assert quick_runs.result(NAME)["seeds"] == 1
    later = QuickRuns(tmp_path)
    assert later.state(NAME) == state, "a restarted server finds it"
    assert later.state("shift") is None


def test_a_quick_run_with_a_damaged_state_frees_its_slot(start, tmp_path):
    quick_runs = start("awaits")
    at_work(quick_runs)
    (tmp_path / NAME / "state.json").write_text("[]")
    (tmp_path / "go").touch()
    until(lambda: quick_runs.live() == [])


def test_a_quick_run_is_not_started_twice_and_the_next_one_takes_its_place(start, tmp_path):
    quick_runs = start("awaits")
    first = at_work(quick_runs)
    quick_runs.start(NAME, owner="another")
    assert quick_runs.state(NAME)["owner"] is None
    (tmp_path / "go").touch()
    ended(quick_runs)
    (tmp_path / "go").unlink()
    again = start("awaits", owner="another")
    state = at_work(again)
    assert state["began"] > first["began"] and state["owner"] == "another"
    with pytest.raises(OSError):
        again.result(NAME)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_end_is_reported_and_ends_all_processes(start, tmp_path, how):
    quick_runs = start("waits")
    at_work(quick_runs)
    processes = pids(tmp_path)
    quick_runs.stop(NAME) if how == "stop" else os.kill(processes[0], signal.SIGKILL)
    state = ended(quick_runs)
    assert state["status"] == {"stop": "stopped", "kill": "failed"}[how]
    assert from_event(state).code == {"stop": "", "kill": "killed"}[how]
    until(lambda: not any(map(alive, processes)))


@pytest.mark.parametrize(
    ("how", "kind"), [("fails", "memory"), ("exits", "ended"), ("finds nothing", "ended")]
)
def test_the_cause_of_a_failure_is_reported(start, how, kind):
    state = ended(start(how))
    assert (state["status"], from_event(state).code) == ("failed", kind)


def test_a_time_limit_ends_a_quick_run(start):
    state = ended(start("waits", time_limit=0.5))
    assert (state["status"], from_event(state).code) == ("stopped", "time_limit")


def test_a_quick_run_ends_with_the_page(tmp_path):
    code = (
        "import pathlib, sys, time; from align_core.experiments.quick_runs import QuickRuns\n"
        "quick_runs = QuickRuns(pathlib.Path(sys.argv[1]), 'tests.playground.scripted_quick_run')\n"
        f"quick_runs.start('{NAME}')\n"
        "while True: time.sleep(1)\n"
    )
    environment = {**os.environ, "SCRIPTED_QUICK_RUN": "waits", "PYTHONPATH": str(ROOT)}
    page = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment)
    try:
        until(lambda: (tmp_path / NAME / "pids").is_file() and len(pids(tmp_path)) == 2)
        processes = pids(tmp_path)
        assert all(map(alive, processes))
    finally:
        page.kill()
        page.wait()
    until(lambda: not any(map(alive, processes)))
    state = QuickRuns(tmp_path).state(NAME)
    assert (state["status"], from_event(state).code) == ("failed", "abandoned")


def test_quick_runs_of_version_0_1_are_found(tmp_path):
    folder = tmp_path / "trials" / NAME
    folder.mkdir(parents=True)
    state = {"status": "finished", "owner": None, "began": 1.0, "ended": 2.0, "message": ""}
    (folder / "trial.json").write_text(json.dumps(state))
    (folder / "result.json").write_text('{"seeds": 1}')
    for _ in range(2):  # renamed by the first start of the page
        quick_runs = QuickRuns(folder_in(tmp_path))
        assert (quick_runs.state(NAME), quick_runs.result(NAME)) == (state, {"seeds": 1})
    assert not (tmp_path / "trials").exists()
