"""Runs that are killed and resumed, and runs that meet NaN."""

from __future__ import annotations

import math
import re

import pytest
import torch

from align_core.config.methods import methods
from align_core.runs.events import replay
from tests.training.films import (
    METHODS,
    STOP,
    Films,
    Run,
    configured,
    killed,
    same_weights,
    timeless,
)


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_run_ends_like_an_uninterrupted_one(tmp_path, plain, method):
    run = killed(tmp_path / "run", configured(method), at=3)
    torch.manual_seed(99)
    run.execute(resume=True)
    assert run.status == "finished"
    assert [event["step"] for event in run.of("resume")] == [2]
    assert same_weights(method, run, plain(method))

    def measured(events: list[dict]) -> list[dict]:
        return [
            event for event in timeless(events) if event["kind"] in ("metrics", "samples", "token")
        ]

    assert measured(replay(run.events)) == measured(plain(method).events)


@pytest.mark.parametrize("method", METHODS)
def test_the_newest_two_checkpoints_are_kept_until_the_run_has_finished(tmp_path, method):
    run = killed(tmp_path / "run", configured(method, steps=8), at=7)
    updates = methods()[method].updates_per_step(run.directory.config.batch_size)
    stored = {path.name for path in (tmp_path / "run").glob("checkpoints/checkpoint-*")}
    assert stored == {f"checkpoint-{4 * updates}", f"checkpoint-{6 * updates}"}
    run.execute(resume=True)
    assert run.status == "finished" and not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ppo", "dpo"])
def test_a_resumed_run_keeps_its_changed_settings(tmp_path, method):
    """It ends like an uninterrupted run with the same changes."""

    def turn(run: Run, event: dict) -> None:
        if event["kind"] == "samples" and event["step"] == 0:
            run.control.put({"command": "set", "beta": 2.0, "learning_rate": 2e-3})

    config = configured(method, steps=6)
    whole = Run(tmp_path / "whole", config)
    whole.execute(on_event=lambda event: turn(whole, event))
    run = killed(tmp_path / "run", config, at=5, on_event=turn)
    run.execute(resume=True)
    assert [event["step"] for event in run.of("resume")] == [4]
    assert same_weights(method, run, whole)
    assert run.metric("learning_rate") == whole.metric("learning_rate")
    if method == "ppo":
        estimate = run.metric("objective/kl_estimate")
        paid = run.metric("objective/non_score_reward")
        assert paid[6] == pytest.approx(-2.0 * estimate[6], abs=1e-6)


def test_a_run_killed_before_its_first_checkpoint_starts_again(tmp_path, plain):
    run = killed(tmp_path / "run", configured("dpo"), at=1)
    run.execute(resume=True)
    assert run.status == "finished"
    assert [event["step"] for event in run.of("resume")] == [0]
    assert same_weights("dpo", run, plain("dpo"))


def poison(monkeypatch, after: int) -> None:
    """Makes gold rewards NaN from a certain rollout on."""
    rollouts, reward = [], Films.reward

    def poisoned(self, prompts, *args, **kwargs):
        good = reward(self, prompts, *args, **kwargs)
        if len(prompts) == 16:  # a rollout; an evaluation has 2 prompts with 4 samples
            rollouts.append(1)
        return [math.nan] * len(good) if len(rollouts) > after else good

    monkeypatch.setattr(Films, "reward", poisoned)


def test_a_run_with_nan_fails_in_plain_words_and_keeps_its_last_good_model(tmp_path, monkeypatch):
    two = Run(tmp_path / "two", configured("ppo", reward_model="gold"))

    def stop(event: dict) -> None:
        if event["kind"] == "samples" and event["step"] == 2:
            two.control.put(STOP)

    two.execute(on_event=stop)
    assert two.status == "stopped"
    poison(monkeypatch, after=2)
    run = Run(tmp_path / "run", configured("ppo", reward_model="gold")).execute()
    assert run.status == "failed"
    last = run.events[-1]
    assert (last["kind"], last["status"]) == ("status", "failed")
    assert "\n" not in last["message"] and "Traceback" not in last["message"]
    assert "nan" in last["message"].lower()
    assert "another reward model" in last["message"]
    assert same_weights("ppo", run, two)


def test_the_message_about_nan_has_the_runs_step(tmp_path, monkeypatch):
    """A rollout has several updates, but the page counts rollouts as steps."""
    poison(monkeypatch, after=2)
    run = Run(tmp_path / "run", configured("ppo", reward_model="gold")).execute()
    assert re.search(r"\bstep 3\b", run.events[-1]["message"])
