"""A client starts, steers and lists runs, and estimates their time."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import fake_training
import pytest

from align_core.config.errors import ConfigError
from align_core.config.run_config import resolve
from align_core.runs.client import Busy, Client
from align_core.runs.directory import RunDirectory
from tests.runs.conftest import SHORT, metrics, started, status
from tests.waiting import until


@pytest.mark.slow
def test_a_run_from_start_to_end(client):
    run = client.start(**SHORT)
    assert client.current() == run
    until(lambda: status(client, run) == "finished")
    until(lambda: client.current() is None)
    assert client.config(run)["steps"] == 5
    assert [event["step"] for event in metrics(client, run)] == [1, 2, 3, 4, 5]
    events, offset = client.events(run)
    assert client.events(run, offset) == ([], offset)
    assert client.runs() == [run]
    assert not client.send(run, "stop")


def test_stop_is_obeyed_and_keeps_the_model(client, caplog):
    caplog.set_level("INFO", "align_core")
    run = started(client)
    assert client.send(run, "stop")
    until(lambda: status(client, run) == "stopped")
    assert (client.root / run / "model").is_dir()
    until(lambda: client.current() is None)
    logged = [(record.getMessage(), getattr(record, "fields", {})) for record in caplog.records]
    end = {"step": client.status(run)["step"], "status": "stopped", "exit_code": 0, "why": None}
    assert [line for line in logged if line[1].get("run") == run] == [
        ("start", {"run": run}),
        ("end", {"run": run, **end}),
    ]


def test_pause_step_and_resume(client):
    run = started(client)
    client.send(run, "pause")
    until(lambda: status(client, run) == "paused")
    before = len(metrics(client, run))
    client.send(run, "step")
    client.send(run, "step")
    until(lambda: len(metrics(client, run)) >= before + 2)
    client.send(run, "pause")
    until(lambda: [e.get("status") for e in client.events(run)[0]].count("paused") == 2)
    assert len(metrics(client, run)) == before + 2
    client.send(run, "resume")
    until(lambda: len(metrics(client, run)) > before + 2)
    assert status(client, run) == "running"


def test_settings_change_while_it_runs(client):
    run = started(client)
    assert client.send(run, "set", beta=0.25, learning_rate="1e-4")
    changes = until(lambda: [e for e in client.events(run)[0] if e["kind"] == "change"])
    assert changes[0]["settings"] == {"beta": 0.25, "learning_rate": 1e-4}


def test_the_current_value_is_not_sent(client):
    run = started(client)
    begun = client.config(run)
    assert client.send(run, "set", beta=begun["beta"], learning_rate=begun["learning_rate"])
    assert client.send(run, "set", beta=0.25)
    assert client.send(run, "set", beta=0.25)
    assert client.send(run, "set", beta=begun["beta"])
    assert client.send(run, "stop")
    until(lambda: status(client, run) == "stopped")
    changes = [e["settings"] for e in client.events(run)[0] if e["kind"] == "change"]
    assert changes == [{"beta": 0.25}, {"beta": begun["beta"]}]


def test_the_pace_changes_while_it_runs_and_nothing_else_does(client):
    run = started(client)
    assert client.send(run, "set", delay="0.5")
    assert client.send(run, "set", beta=0.25)
    changes = until(lambda: [e for e in client.events(run)[0] if e["kind"] == "change"])
    assert [change["settings"] for change in changes] == [{"beta": 0.25}]
    with pytest.raises(ConfigError, match="--delay got 11, expected a number of seconds from 0"):
        client.send(run, "set", delay=11)


def test_settings_out_of_range_never_reach_the_run(client):
    run = started(client)
    with pytest.raises(ConfigError, match="--beta got -1") as error:
        client.send(run, "set", beta=-1, learning_rate=float("nan"))
    assert len(error.value.lines) == 2
    with pytest.raises(ConfigError, match="steps cannot change"):
        client.send(run, "set", steps=3)
    with pytest.raises(ConfigError, match="command got 'dance', expected one of pause"):
        client.send(run, "dance")


def test_one_run_at_a_time(client):
    run = started(client)
    client.make_room()  # it has not ended
    with pytest.raises(Busy, match=f"still running: {run}"):
        client.start(**SHORT)
    assert client.runs() == [run]


def test_a_run_can_start_while_the_process_of_a_finished_one_still_exits(client):
    first = client.start(**SHORT, seed=fake_training.LINGERS)
    until(lambda: status(client, first) == "finished")
    assert client.current() == first, "its process is still there"
    client.make_room()
    second = client.start(**SHORT)
    until(lambda: status(client, second) == "finished")
    assert status(client, first) == "finished"


def test_a_process_may_exit_just_before_the_next_run_starts(client, monkeypatch):
    run = client.start(**SHORT, seed=fake_training.LINGERS)
    until(lambda: status(client, run) == "finished")
    looks = iter([[run], [run]])  # the live runs in the first two calls; later there is none
    with monkeypatch.context() as patched:
        patched.setattr(client, "_alive", lambda: next(looks, []))
        client.make_room()


def test_a_new_run_does_not_wait_for_the_evaluation_after_a_stop(client):
    first = started(client, seed=fake_training.MEASURES)
    client.send(first, "stop")
    until(lambda: status(client, first) == "stopped")
    client.make_room()  # the evaluation would last for ever
    second = client.start(**SHORT)
    until(lambda: status(client, second) == "finished")
    assert status(client, first) == "stopped"


def test_an_estimate_has_the_speed_of_the_newest_similar_run(client):
    def ran(step: float, **options) -> None:
        run = client.start(**(SHORT | options))
        until(lambda: client.current() is None)
        timings = {"timing/evaluation": 1.0, "timing/step": step}
        event = {"kind": "metrics", "step": 5, "seconds": 3.0, "metrics": timings}
        log = client.root / run / "events.jsonl"
        log.write_text(json.dumps(event) + "\n")

    arguments = {"method": "dpo", "task": "reviews", "steps": 10, "eval_every": 5}
    assert client.estimate(**arguments) is None
    ran(step=9.0)
    ran(step=0.5)
    ran(step=7.0, batch_size=3)
    # loading, three evaluations, ten steps
    assert client.estimate(**arguments) == 2.0 + 4 * 1.0 + 10 * 0.5
    assert client.estimate(**arguments, delay=2.0) == 2.0 + 4 * 1.0 + 10 * 0.5 + 9 * 2.0
    assert client.estimate(**arguments, batch_size=3) == 2.0 + 4 * 1.0 + 10 * 7.0
    assert client.estimate(**arguments, lora_r=4) is None, "the speed of this machine is unknown"
    shutil.rmtree(client.root / client.runs()[0])
    assert client.estimate(**arguments) == 2.0 + 4 * 1.0 + 10 * 0.5
    with pytest.raises(ConfigError, match="--steps got 0"):
        client.estimate(**arguments | {"steps": 0})


def test_without_a_similar_run_an_estimate_has_the_speed_of_a_recorded_one(client, fake_assets):
    """2 s to load, 1 s per evaluation, of which the distance takes one, 0.5 s per step; the run has
    another reward model."""
    folder = fake_assets / "presets" / "kind"
    folder.mkdir(parents=True)
    settings = {"method": "ppo", "task": "reviews", "beta": 0.2, "steps": 5}
    folder.with_suffix(".json").write_text(json.dumps({"settings": settings, "promise": {}}))
    timings = {"timing/evaluation": 1.0, "timing/step": 0.5}
    event = {"kind": "metrics", "step": 5, "seconds": 3.0, "metrics": timings}
    (folder / "events.jsonl").write_text(json.dumps(event) + "\n")
    options = {"method": "ppo", "task": "reviews", "steps": 10, "eval_every": 5}
    assert client.estimate(**options) == 2.0 + 4 * 1.0 + 10 * 0.5
    assert client.estimate(**options, reward_model="gold") == 2.0 + 4 * 1.0 + 10 * 0.5
    assert client.estimate(**options, batch_size=64) is None
    assert client.estimate(**options | {"task": "capitals"}) is None
    run = client.start(**options | {"steps": 3})
    until(lambda: client.current() is None)
    event["metrics"] |= {"timing/step": 0.25}
    (client.root / run / "events.jsonl").write_text(json.dumps(event) + "\n")
    assert client.estimate(**options) == 2.0 + 4 * 1.0 + 10 * 0.25, "as fast as the last run here"


def test_bad_options_start_nothing(client):
    with pytest.raises(ConfigError) as error:
        client.start(method="dpo", task="opera", beta=-1)
    assert len(error.value.lines) == 2
    assert client.runs() == []
    assert client.current() is None


def test_an_unwritable_root_is_reported(fake_assets, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="--run-dir got"):
        Client(tmp_path / "file", training="fake_training").start(**SHORT)


def test_a_reload_finds_the_runs(client):
    run = started(client)
    other = Client(client.root, training="fake_training")
    assert other.runs() == [run]
    assert other.status(run)["status"] == "running"
    assert other.events(run)[0]
    assert not other.send(run, "stop")


@pytest.mark.parametrize("name", ["../secret", "/etc", "", "2026-01-01-000000-ppo-reviews", "a\n"])
def test_names_from_outside_are_checked(client, name):
    for ask in (client.events, client.status, client.config):
        with pytest.raises(ConfigError, match="there is no run"):
            ask(name)


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=window.hacked=1>", "2026-01-01-000000-ppo-<b>reviews"]
)
def test_a_folder_with_another_name_is_not_a_run(client, name):
    RunDirectory.create(client.root / name, resolve("ppo", "reviews"))
    assert client.runs() == []
    with pytest.raises(ConfigError, match="there is no run"):
        client.config(name)


def test_names_sort_by_time_also_within_a_second(client, monkeypatch):
    names = []
    for _ in range(3):
        names.append(client.start(**(SHORT | {"steps": 1})))
        until(lambda: client.current() is None)
    assert client.runs() == names[::-1]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc")
def test_preloaded_modules_start_no_threads(client):
    from multiprocessing import forkserver

    run = client.start(**SHORT)
    until(lambda: status(client, run) == "finished")
    server = forkserver._forkserver._forkserver_pid
    assert len(os.listdir(f"/proc/{server}/task")) == 1
