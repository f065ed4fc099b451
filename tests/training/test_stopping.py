"""Stopped runs: the saved model and its evaluation."""

from __future__ import annotations

import contextlib

import pytest

from align_core.config.messages import plain
from align_core.evaluation.evaluator import Evaluator
from align_core.models.loading import load_policy, save_model
from align_core.runs.directory import RunDirectory
from tests import toy
from tests.training.films import METHODS, STOP, Films, Killed, Run, configured, stopped


def test_a_time_limit_stops_the_run_and_keeps_the_model(tmp_path):
    run = Run(tmp_path / "run", configured("dpo", steps=10_000, time_limit=0.2)).execute()
    assert run.status == "stopped"
    last = run.events[-1]
    assert last["status"] == "stopped" and "time limit" in last["message"].lower()
    assert 0 < last["step"] < 10_000
    assert run.weights().keys() == toy.policy().state_dict().keys()


def test_a_stop_before_the_first_update_keeps_the_model(tmp_path):
    run = Run(tmp_path / "run", configured("ppo", steps=1000))
    run.control.put({"command": "stop", "reason": plain("enough")})
    run.execute()
    assert run.status == "stopped"
    assert run.events[-1]["message"] == "enough"
    assert run.events[-1]["step"] <= 1
    assert run.weights()


@pytest.mark.parametrize("method", METHODS)
def test_the_model_saved_at_a_stop_is_evaluated(tmp_path, plain, method):
    """The status comes first, then the evaluation of the saved model, then the status again."""
    run = stopped(tmp_path / "run", configured(method, eval_every=100), at=2)
    events = [(e["kind"], e.get("status"), e["step"]) for e in run.events]
    end = ("status", "stopped", 2)
    kinds = ["metrics"] + ["samples"] * (method != "reward") + ["token"] * (method == "ppo")
    after = events[events.index(end) :]
    assert after == [end, *((kind, None, 2) for kind in kinds), end]
    name = "eval/margin" if method == "reward" else "eval/kl"
    assert run.metric(name)[2] == plain(method).metric(name)[2], (
        "the evaluation of the model at step 2"
    )
    assert list(run.metric(f"{name}_ci95")) == [2], "it is the last one"


def test_a_model_evaluated_at_the_stop_is_not_evaluated_again(tmp_path):
    run = Run(tmp_path / "run", configured("dpo"))

    def stop(event: dict) -> None:
        if event["kind"] == "samples" and event["step"] == 2:
            run.control.put(STOP)

    run.execute(on_event=stop)
    assert [event["status"] for event in run.of("status")] == ["running", "stopped"]
    assert [event["step"] for event in run.of("samples")] == [0, 2]


def test_a_second_stop_skips_the_evaluation(tmp_path):
    def press_again(run: Run, event: dict) -> None:
        if event.get("status") == "stopped":
            run.control.put(STOP)

    config = configured("ppo", eval_every=100)
    run = stopped(tmp_path / "run", config, at=2, on_event=press_again)
    assert run.events[-1]["status"] == "stopped"
    assert [event["step"] for event in run.of("samples")] == [0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, Killed])
def test_the_model_is_saved_before_it_is_evaluated(tmp_path, monkeypatch, error):
    """A second Ctrl-C skips the evaluation, and a run killed during it has ended properly."""

    def interrupt(run: Run, event: dict) -> None:
        def evaluate(*_: object) -> None:
            raise error

        if event.get("status") == "stopped":
            monkeypatch.setattr(Evaluator, "__call__", evaluate)

    with contextlib.suppress(Killed):
        config = configured("ppo", eval_every=100)
        stopped(tmp_path / "run", config, at=2, on_event=interrupt)
    last = RunDirectory.open(tmp_path / "run").events()[0][-1]
    assert (last["kind"], last["status"]) == ("status", "stopped")
    assert load_policy(str(tmp_path / "run"))


def test_a_stop_during_a_rollout_logs_nothing_of_its_step(tmp_path, monkeypatch):
    """The stop comes during the third rollout; a rollout has four updates."""
    run, rollouts = Run(tmp_path / "run", configured("ppo", reward_model="gold")), []
    reward = Films.reward

    def stop(self, prompts, *args, **kwargs):
        if len(prompts) == 16:  # a rollout; an evaluation has 2 prompts with 4 samples
            rollouts.append(1)
            if len(rollouts) == 3:
                run.control.put(STOP)
        return reward(self, prompts, *args, **kwargs)

    monkeypatch.setattr(Films, "reward", stop)
    run.execute()
    logged = [(event["step"], event["metrics"]) for event in run.of("metrics")]
    assert [step for step, metrics in logged if "objective/kl" in metrics] == [1, 2]
    kept = [metrics["eval/kl"] for _, metrics in logged if "eval/kl" in metrics]
    assert [event["step"] for event in run.of("samples")] == [0, 2, 2]
    assert kept[1] != kept[2], "it has trained on part of the third rollout"
    assert (run.events[-1]["status"], run.events[-1]["step"]) == ("stopped", 2)


def test_a_stop_takes_effect_while_pairs_are_sampled(tmp_path):
    save_model(toy.policy(5), toy.tokenizer(), tmp_path / "own")
    config = configured("dpo", model=str(tmp_path / "own"), preference_pairs=2000)
    run, messages = Run(tmp_path / "run", config), []

    def stop(event: dict) -> None:
        if "pairs" in event.get("message", ""):
            messages.append(event)
            run.control.put(STOP)

    run.execute(on_event=stop)
    assert run.status == "stopped"
    assert len(messages) <= 2, "no further batch of pairs is sampled"
    assert run.weights()


@pytest.mark.parametrize("limit", [None, 0.01])
def test_a_stop_and_the_time_limit_end_the_sampling_of_texts_to_choose_from(
    tmp_path, monkeypatch, limit
):
    """The run would sample 20 batches of 128 texts."""
    settings = {"steps": 40, "batch_size": 64, "reward_model": "gold", "time_limit": limit}
    run = Run(tmp_path / "run", configured("rejection", **settings))
    batches, reward = [], Films.reward

    def stop(self, prompts, *args, **kwargs):
        if len(prompts) == 128:
            batches.append(1)
            if limit is None:
                run.control.put(STOP)
        return reward(self, prompts, *args, **kwargs)

    monkeypatch.setattr(Films, "reward", stop)
    run.execute()
    assert len(batches) == 1, "no further batch of texts is sampled"
    assert (run.status, run.events[-1]["status"]) == ("stopped", "stopped")
    assert ("time limit" in run.events[-1]["message"]) == (limit is not None)
    assert run.events[-1]["step"] <= 1 and run.weights()
