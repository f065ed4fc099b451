"""A run ends with its process or with the page, and the client reports why."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import fake_training
import pytest

from align_core.runs import client as client_module
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from tests.runs.conftest import SHORT, started, status
from tests.waiting import until


def test_a_killed_process_is_reported_in_plain_words_and_the_client_continues(client):
    run = started(client)
    os.kill(client.pid(), signal.SIGKILL)
    until(lambda: status(client, run) == "failed")
    message = client.status(run)["message"]
    assert "killed from outside (signal 9)" in message
    assert "It has no model" in message
    assert RunDirectory(client.root / run).status()["message"] == message
    again = client.start(**SHORT)
    until(lambda: status(client, again) == "finished")


def test_sigterm_is_a_stop(client):
    run = started(client)
    os.kill(client.pid(), signal.SIGTERM)
    until(lambda: status(client, run) == "stopped")
    assert RunDirectory(client.root / run).model_path.is_dir(), "the model is kept"


def test_a_run_that_does_not_stop_is_killed(client, monkeypatch):
    monkeypatch.setattr(client_module, "STOP_TIMEOUT", 0.2)
    run = started(client, seed=fake_training.DEAF)
    client.send(run, "stop")
    until(lambda: status(client, run) == "failed")
    assert "did not stop within" in client.status(run)["message"]


def test_a_crash_is_reported(client):
    run = client.start(**SHORT, seed=fake_training.RAISES)
    until(lambda: status(client, run) == "failed")
    assert "ZeroDivisionError" in client.status(run)["message"]


def test_a_process_that_ends_silently_is_reported(client):
    run = client.start(**SHORT, seed=fake_training.EXITS)
    until(lambda: status(client, run) == "failed")
    assert "ended unexpectedly (exit code 3)" in client.status(run)["message"]


def test_a_full_disk_is_reported(client):
    run = client.start(**SHORT, seed=fake_training.DISK_FULL)
    until(lambda: status(client, run) == "failed")
    assert client.status(run)["message"].startswith("The disk is full")
    assert client.current() is None


def test_a_full_disk_is_reported_even_if_nothing_can_be_written(client, monkeypatch):
    run = started(client)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunDirectory, "append", refuse)
    os.kill(client.pid(), signal.SIGKILL)
    until(lambda: status(client, run) == "failed")
    assert client.events(run)[0][-1] == client.status(run)


def test_a_run_without_page_and_process_is_reported_as_failed(client):
    run = client.start(**SHORT)
    until(lambda: client.current() is None)
    log = client.root / run / "events.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    later = Client(client.root, training="fake_training")
    assert later.status(run)["status"] == "failed"
    assert "process ended before" in later.status(run)["message"]
    cause = later.status(run)["cause"]["values"]["cause"]["cause"]
    assert cause == {"kind": "abandoned", "values": {}}


PAGE = """
import sys, time
from align_core.config import model_index
from align_core.runs import forkserver
from align_core.runs.client import Client
from pathlib import Path

forkserver._PRELOADED = "fake_training"  # the run needs no more
if __name__ == "__main__":
    model_index.ASSETS = Path(sys.argv[2])
    client = Client(sys.argv[1], training="fake_training")
    run = client.start(method="dpo", task="reviews", steps=100000)
    while not client.events(run)[0]:
        time.sleep(0.01)
    print("torch" in sys.modules or "transformers" in sys.modules, client.pid(), flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["exit", "kill"])
def test_a_run_stops_with_its_page_and_keeps_its_model(fake_assets, tmp_path, how):
    script = tmp_path / "page.py"
    script.write_text(PAGE)
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'tests' / 'fakes'}"}
    page = subprocess.Popen(
        [sys.executable, script, tmp_path / "runs", fake_assets],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    heavy, _ = page.stdout.readline().split()
    assert heavy == "False"
    if how == "kill":
        page.kill()
    page.communicate("")
    (run,) = (tmp_path / "runs").iterdir()
    directory = RunDirectory(run)
    until(lambda: directory.status()["status"] == "stopped")
    assert directory.model_path.is_dir()
    last = json.loads(directory.events_path.read_text().splitlines()[-1])
    assert last["message"] == ("the page that started this run has gone" if how == "kill" else "")
