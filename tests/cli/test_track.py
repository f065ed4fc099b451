"""Runs in experiment trackers, against stand-ins of their libraries."""

from __future__ import annotations

import json
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest

from align_core.cli import main as cli
from align_core.config.run_config import resolve
from align_core.runs.directory import RunDirectory


def stand_in(monkeypatch, name: str, **members) -> list:
    """A module of this name in place of a library; returns its calls."""
    calls: list = []
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    defaults = {
        "init": lambda **options: calls.append(("init", options)),
        "log": lambda values, step: calls.append((step, values)),
        "finish": lambda: calls.append("finish"),
        "Table": lambda **parts: SimpleNamespace(**parts),
        "Text": lambda text: SimpleNamespace(text=text),
    }
    vars(module).update(defaults | members)
    monkeypatch.setitem(sys.modules, name, module)
    return calls


def recorded(folder) -> RunDirectory:
    """A run of two steps, of which a resume has voided another."""
    directory = RunDirectory.create(folder, resolve("dpo", "reviews", steps=2))
    sample = {
        "prompt": "The | plot",
        "reference": {"text": " was dull.", "gold_reward": -1.0, "proxy_reward": None},
        "policy": {"text": " was\ngood.", "gold_reward": 1.5, "proxy_reward": None, "tokens": []},
    }
    for event in (
        {"kind": "status", "step": 0, "status": "running", "message": ""},
        {"kind": "metrics", "step": 1, "metrics": {"loss": 0.7, "eval/gain": None}},
        {"kind": "metrics", "step": 2, "metrics": {"loss": 9.0}},
        {"kind": "resume", "step": 1},
        {"kind": "metrics", "step": 2, "metrics": {"loss": 0.5}},
        {"kind": "samples", "step": 2, "samples": [sample]},
    ):
        directory.append({"seconds": 0.0, **event})
    directory.close()
    return directory


@pytest.mark.parametrize("name", ["trackio", "wandb", "swanlab"])
def test_a_recorded_run_is_sent_with_its_samples(main, tmp_path, monkeypatch, name):
    recorded(tmp_path / "first")
    calls = stand_in(monkeypatch, name)
    assert main("track", tmp_path / "first", "--to", name) == (
        *(0, f"sent 3 events of first to {name}\n", ""),
    )
    (_, options), *logged, (step, samples), end = calls
    assert options["project"] == "alignment-playground"
    assert options["experiment_name" if name == "swanlab" else "name"] == "first"
    assert options["config"]["method"] == "dpo" and options["config"]["steps"] == 2
    assert logged == [(1, {"loss": 0.7}), (2, {"loss": 0.5})]
    assert step == 2 and end == "finish"
    shown = samples["samples"]
    row = ["The | plot", " was dull.", " was\ngood.", -1.0, 1.5]
    if name == "wandb":
        assert shown.data == [tuple(row)] and len(shown.columns) == 5
    elif name == "trackio":
        assert shown.dataframe.values.tolist() == [row]
    else:
        assert r"| The \| plot |  was dull. |  was good. | -1.0 | 1.5 |" in shown.text


def test_tensorboard_writes_into_the_run(main, tmp_path, monkeypatch):
    recorded(tmp_path / "first")
    calls: list = []

    class Writer:
        def __init__(self, folder):
            calls.append(folder)

        def add_scalar(self, *call):
            calls.append(call)

        def add_text(self, tag, text, step):
            calls.append((tag, text.splitlines()[0], step))

        def close(self):
            calls.append("close")

    stand_in(monkeypatch, "tensorboard")
    stand_in(monkeypatch, "torch.utils.tensorboard", SummaryWriter=Writer)
    assert main("track", tmp_path / "first", "--to", "tensorboard")[0] == 0
    head = "| prompt | reference | policy | reference gold reward | policy gold reward |"
    assert calls == [
        str(tmp_path / "first" / "tensorboard"),
        ("config", "| option | value |", 0),
        ("loss", 0.7, 1),
        ("loss", 0.5, 2),
        ("samples", head, 2),
        "close",
    ]


def test_a_run_is_sent_while_it_goes_on(main, tmp_path, monkeypatch):
    calls = stand_in(monkeypatch, "trackio")
    run = ("train", "dpo", "--task", "reviews", "--steps", 3, "--run-dir", tmp_path / "run")
    code, out, _ = main(*run, "--json", "--report-to", "trackio")
    assert code == 0 and out == (tmp_path / "run" / "events.jsonl").read_text()
    events = [json.loads(line) for line in out.splitlines()]
    expected = [event["step"] for event in events if event["kind"] in ("metrics", "samples")]
    assert [step for step, _ in calls[1:-1]] == expected and calls[-1] == "finish"
    assert "report_to" not in (tmp_path / "run" / "config.json").read_text()


def test_a_tracker_that_fails_does_not_end_the_run(main, tmp_path, monkeypatch):
    def log(values, step):
        raise ConnectionError("no route")

    stand_in(monkeypatch, "wandb", log=log)
    run = ("train", "dpo", "--task", "reviews", "--steps", 3, "--run-dir", tmp_path / "run")
    code, out, err = main(*run, "--report-to", "wandb")
    assert code == 0 and out.startswith("finished")
    assert err.count("--report-to wandb ended, the run continues: ") == 1 and "no route" in err


def test_what_is_no_tracker_or_not_installed_is_refused(main, tmp_path, monkeypatch):
    run = ("train", "dpo", "--task", "reviews", "--run-dir", tmp_path / "run")
    code, _, err = main(*run, "--report-to", "paper", "--beta", "x")
    assert code == 2 and len(err.splitlines()) == 2
    assert "--report-to got 'paper', expected trackio or wandb or swanlab or tensorboard" in err
    monkeypatch.setattr(cli.track, "_installed", lambda library: False)
    code, _, err = main("track", tmp_path / "none", "--to", "swanlab")
    assert code == 2
    first, second = err.splitlines()
    assert first == "--to got 'swanlab', expected a library that is installed; pip install swanlab"
    assert second.startswith("RUN got ")
    assert not (tmp_path / "run").exists()


def test_paths_are_cut_to_their_last_part(tmp_path):
    config = {"model": str(tmp_path / "own" / "model"), "task": "reviews", "steps": 3}
    assert cli.track._without_paths(config) == {"model": "model", "task": "reviews", "steps": 3}
