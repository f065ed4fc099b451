"""The size of a run's evaluations, set before step 0 by the model's size and the token limit."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from align_core.cli.main import main
from align_core.config import model_size
from align_core.config.run_config import resolve
from align_core.config.task_card import NAMES, known_card
from align_core.runs.directory import RunDirectory
from align_core.tasks import load_task

FEW = ("--steps", "1", "--batch-size", "4", "--eval-every", "1")


def config(run) -> dict:
    return json.loads((run / "config.json").read_text())


def measured(run) -> list[tuple[int, int]]:
    """The prompts and samples of each evaluation."""
    events = map(json.loads, (run / "events.jsonl").read_text().splitlines())
    metrics = [event["metrics"] for event in events if "eval/kl" in event.get("metrics", {})]
    return [(values["eval/prompts"], values["eval/samples"]) for values in metrics]


def test_embedded_models_keep_64_prompts_and_4_samples():
    for method, task in (("ppo", "reviews"), ("dpo", "capitals"), ("sft", "reviews")):
        chosen = resolve(method, task)
        assert (chosen.eval_prompts, chosen.eval_samples) == (64, 4)


def test_a_large_model_is_measured_on_fewer_texts_and_a_run_keeps_its_numbers(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(model_size, "parameters", lambda model: 135_000_000)
    chosen = resolve("dpo", "reviews")
    assert (chosen.eval_prompts, chosen.eval_samples) == (12, 2)
    argv = ["train", "ppo", "--task", "reviews", *FEW, "--run-dir", str(tmp_path / "first")]
    assert main([*argv, "--time-limit", "0.001"]) == 0
    monkeypatch.undo()  # a run keeps its first numbers
    again = ["train", "--config", str(tmp_path / "first" / "config.json")]
    assert main([*again, "--time-limit", "100", "--run-dir", str(tmp_path / "second")]) == 0
    content = config(tmp_path / "first") | {"time_limit": None, "steps": 2}
    (tmp_path / "first" / "config.json").write_text(json.dumps(content))
    assert main(["train", "--resume", str(tmp_path / "first")]) == 0
    for run in ("first", "second"):
        numbers = config(tmp_path / run)
        assert (numbers["eval_prompts"], numbers["eval_samples"]) == (12, 2)
        assert {*measured(tmp_path / run)} == {(12, 2)}
    capsys.readouterr()
    monkeypatch.setattr(model_size, "parameters", lambda model: 135_000_000)
    assert main(["evaluate", "sft-reviews", "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert (numbers["prompts"], numbers["samples"]) == (24, 2)
    assert numbers["length_ci95"] > 0


def test_a_run_of_an_older_version_keeps_64_prompts(tmp_path, monkeypatch):
    with closing(RunDirectory.create(tmp_path / "run", resolve("ppo", "reviews", eval_prompts=3))):
        content = config(tmp_path / "run")
    assert content.pop("eval_prompts") == 3 and content.pop("eval_samples") == 4
    (tmp_path / "run" / "config.json").write_text(json.dumps(content))
    monkeypatch.setattr(model_size, "parameters", lambda model: 135_000_000)
    stored = RunDirectory(tmp_path / "run").config
    assert (stored.eval_prompts, stored.eval_samples) == (64, 4), (
        "the defaults of the old version, for models of every size"
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_card_of_a_task_has_its_token_limit(name):
    assert known_card(name).max_new_tokens == load_task(name).max_new_tokens
