"""The button Prepare: it prepares the visitor's task, one at a time, and shows the state."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from align_core.config import task_card
from align_core.runs.client import Client
from align_core.tasks.folder import example
from align_core.tasks.loader import get_task
from playground import text
from playground.handlers import preparation
from playground.handlers.preparation import PreparationHandlers
from playground.people.run_queue import RunQueue
from playground.people.visitors import Visitors
from tests.waiting import until

MINE, THEIRS = "a" * 64, "b" * 64
WORDS = text.load()
PROCESS = """
import sys, threading, time, pathlib
from align_core.runs.progress import exit_with_stdin, report_progress
threading.Thread(target=exit_with_stdin, daemon=True).start()
task, model, folder = sys.argv[1:]
report_progress(3, 12)
pathlib.Path(folder, "arguments").write_text(f"{task} {model}")
pathlib.Path(folder, "arguments").rename(f"{folder}/asked")
while not pathlib.Path(folder, "go").exists():
    time.sleep(0.02)
pathlib.Path(folder, "result.json").write_text("{}")
"""


@pytest.fixture
def queue(tmp_path, monkeypatch):
    (tmp_path / "slow_preparation.py").write_text(PROCESS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(preparation, "_MODULE", "slow_preparation")
    client = Client(tmp_path / "runs")
    visitors = Visitors(client)
    folder = tmp_path / "own"
    example.write_new(folder, "FOLDER")
    card = task_card.card(get_task(str(folder)).full_name)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    with visitors.own.staged(files) as staged:
        visitors.own.keep(MINE, staged, replace(card, reference="sft-reviews"), files)
    queue = RunQueue(client, visitors)
    yield queue
    for name in queue.quick_runs.live():
        queue.quick_runs.stop(name)
    until(lambda: not queue.quick_runs.live())
    visitors.own.delete(MINE)
    task_card.forget(card.full_name)
    client.close()


def wait_for(handlers, status, done):
    def reached():
        state = handlers.preparation(None, MINE)
        return state if (state["status"], state.get("done")) == (status, done) else None

    return until(reached)


def test_a_visitor_prepares_their_own_task(queue):
    handlers = PreparationHandlers(queue, WORDS)
    assert handlers.preparation(None, MINE)["status"] is None
    assert handlers.prepare(None, THEIRS) == handlers.prepare(None, None) == WORDS["own"]["missing"]
    assert handlers.prepare(None, MINE) == ""
    folder = queue.quick_runs._root / f"prepare-{MINE[:16]}"
    until((folder / "asked").exists)
    path = queue.visitors.own.full_name(MINE, "own")
    assert (folder / "asked").read_text() == f"{path} sft-reviews"
    assert wait_for(handlers, "running", 0.25)["sentence"] == "3 of 12 answers are sampled."
    assert handlers.prepare(None, MINE) == WORDS["visitors"]["one_each"]
    assert handlers.preparation(None, THEIRS)["status"] is None
    handlers.stop_preparing(None, THEIRS)
    (folder / "go").touch()
    assert wait_for(handlers, "finished", 1.0)["sentence"].startswith("Prepared")


def test_a_preparation_is_stopped(queue):
    handlers = PreparationHandlers(queue, WORDS)
    assert handlers.prepare(None, MINE) == ""
    handlers.stop_preparing(None, MINE)
    wait_for(handlers, "stopped", 1.0)


def test_a_preparation_waits_in_the_queue_while_another_is_live(queue):
    queue.quick_runs.start("other", THEIRS, command=("slow_preparation", "a", "b"))
    handlers = PreparationHandlers(queue, WORDS)
    assert handlers.prepare(None, MINE) == ""
    state = handlers.preparation(None, MINE)
    assert state["status"] == "waiting"
    assert "number 1 in the queue" in state["sentence"]
    handlers.stop_preparing(None, MINE)
    assert handlers.preparation(None, MINE)["status"] is None


def test_few_ended_preparations_are_kept(queue, monkeypatch):
    monkeypatch.setattr(preparation, "MAX_ENDED_KEPT", 1)
    for age, name in ((20, "prepare-old"), (10, "prepare-new"), (30, "frontier")):
        folder = queue.quick_runs._root / name
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - age,) * 2)
    handlers = PreparationHandlers(queue, WORDS)
    assert handlers.prepare(None, MINE) == ""
    names = {folder.name for folder in queue.quick_runs._root.iterdir()}
    assert names == {"prepare-new", "frontier", f"prepare-{MINE[:16]}"}
