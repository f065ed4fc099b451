"""Trials of the lab's experiments: their processes and their ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from align_core.config.messages import from_event
from align_core.experiments.quick_runs import QuickRuns
from tests.waiting import until

ROOT = Path(__file__).parents[2]
NAME = "overoptimisation"


@pytest.fixture
def start(tmp_path, monkeypatch):
    """start(how) starts a trial, and returns the trials of its folder after its first part."""
    begun = []

    def act(how, **options):
        monkeypatch.setenv("SCRIPTED_TRIAL", how)
        begun.append(QuickRuns(tmp_path, module="tests.playground.scripted_trial"))
        begun[-1].start(NAME, **options)
        return begun[-1]

    yield act
    for trials in begun:
        trials.stop(NAME)
        ended(trials)


def ended(trials, name=NAME):
    until(lambda: name not in trials.live())
    return trials.state(name)


def at_work(trials):
    return until(lambda: (state := trials.state(NAME)).get("done") and state)


def pids(folder):
    return [int(pid) for pid in (folder / NAME / "pids").read_text().split()]


def alive(pid):
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return shown.stdout.strip()[:1] not in ("", "Z")


def test_a_trial_reports_its_progress_and_result(start, tmp_path):
    trials = start("awaits", owner="somebody")
    state = at_work(trials)
    assert trials.live() == [NAME]
    assert (state["status"], state["owner"]) == ("running", "somebody")
    assert (state["done"], state["count"]) == (1, 3)
    (tmp_path / "go").touch()
    state = ended(trials)
    assert (state["status"], state["message"], state["owner"]) == ("finished", "", "somebody")
    assert state["ended"] > state["began"]
    assert trials.result(NAME)["seeds"] == 1
    later = QuickRuns(tmp_path)
    assert later.state(NAME) == state, "a restarted server finds it"
    assert later.state("shift") is None


def test_a_trial_with_a_damaged_state_frees_its_slot(start, tmp_path):
    trials = start("awaits")
    at_work(trials)
    (tmp_path / NAME / "state.json").write_text("[]")
    (tmp_path / "go").touch()
    until(lambda: trials.live() == [])


def test_a_trial_is_not_started_twice_and_the_next_one_takes_its_place(start, tmp_path):
    trials = start("awaits")
    first = at_work(trials)
    trials.start(NAME, owner="another")
    assert trials.state(NAME)["owner"] is None
    (tmp_path / "go").touch()
    ended(trials)
    (tmp_path / "go").unlink()
    again = start("awaits", owner="another")
    state = at_work(again)
    assert state["began"] > first["began"] and state["owner"] == "another"
    with pytest.raises(OSError):
        again.result(NAME)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_end_is_reported_and_ends_all_processes(start, tmp_path, how):
    trials = start("waits")
    at_work(trials)
    processes = pids(tmp_path)
    trials.stop(NAME) if how == "stop" else os.kill(processes[0], signal.SIGKILL)
    state = ended(trials)
    assert state["status"] == {"stop": "stopped", "kill": "failed"}[how]
    assert from_event(state).code == {"stop": "", "kill": "killed"}[how]
    until(lambda: not any(map(alive, processes)))


@pytest.mark.parametrize(
    ("how", "kind"), [("fails", "memory"), ("exits", "ended"), ("finds nothing", "ended")]
)
def test_the_cause_of_a_failure_is_reported(start, how, kind):
    state = ended(start(how))
    assert (state["status"], from_event(state).code) == ("failed", kind)


def test_a_time_limit_ends_a_trial(start):
    state = ended(start("waits", time_limit=0.5))
    assert (state["status"], from_event(state).code) == ("stopped", "time_limit")


def test_a_trial_ends_with_the_page(tmp_path):
    code = (
        "import pathlib, sys, time; from align_core.experiments.quick_runs import QuickRuns\n"
        "trials = QuickRuns(pathlib.Path(sys.argv[1]), 'tests.playground.scripted_trial')\n"
        f"trials.start('{NAME}')\n"
        "while True: time.sleep(1)\n"
    )
    environment = {**os.environ, "SCRIPTED_TRIAL": "waits", "PYTHONPATH": str(ROOT)}
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
