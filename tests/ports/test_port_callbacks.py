"""Callbacks of scripts, and what Trainer's evaluations choose: steps of both are rollouts."""

from __future__ import annotations

import json

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, EarlyStoppingCallback, TrainerCallback
from trl import BEMACallback, RichProgressCallback, SyncRefModelCallback

from tests import toy
from tests.ports.ported import PROMPTS, history, made, rows
from tests.ports.scripts import best, guards

IDS = toy.tokenizer()(PROMPTS)["input_ids"]


def test_callbacks_without_guards_see_one_step_and_one_log_a_rollout(tmp_path, capsys):
    """Four rollouts of four updates. What is saved at such a step can be resumed."""
    data = Dataset.from_dict({"input_ids": IDS})
    parts = toy.tokenizer(), toy.policy(), toy.policy(), toy.reward_model(), toy.reward_model()
    trainer, scores, kl = guards.main(*parts, data, str(tmp_path))
    assert scores == history(trainer, "objective/scores") and len(scores) == 4
    assert kl == history(trainer, "objective/kl")
    assert f"ended at a score of {scores[-1]:.3f}" in capsys.readouterr().out
    saved = [step for step in (4, 8, 12, 16) if (tmp_path / f"checkpoint-{step}").is_dir()]
    assert saved == [4 * (i + 1) for i in range(4) if scores[i] > max(scores[:i], default=-99.0)]
    parts = toy.tokenizer(), toy.policy(), toy.policy(), toy.reward_model(), toy.reward_model()
    again, *_ = guards.main(*parts, data, str(tmp_path), checkpoint=True)
    for ours, theirs in zip(again.model.parameters(), trainer.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_callback_that_sees_updates_is_called_after_each(tmp_path):
    seen: dict[str, list] = {"steps": [], "updates": [], "optimizer": []}

    class Steps(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            seen["steps"].append(-state.global_step)

        def on_step_end(self, args, state, control, **_):
            seen["steps"].append(state.global_step)

        def on_optimizer_step(self, args, state, control, **_):
            seen["optimizer"].append(state.global_step)

    class Updates(TrainerCallback):
        sees_updates = True

        def on_step_end(self, args, state, control, **_):
            seen["updates"].append(state.global_step)

    trainer = made(tmp_path, callbacks=[Steps()], num_ppo_epochs=2)
    trainer.add_callback(Updates())
    trainer.train()
    assert seen["steps"] == [0, 2, -2, 4]
    assert seen["updates"] == [1, 2, 3, 4] and seen["optimizer"] == [0, 1, 2, 3]


class Unguarded(TrainerCallback):
    """Reads metrics of rollouts in every entry, as in TRL's PPO, which logs no evaluation."""

    def __init__(self):
        self.read: list[tuple] = []

    def on_log(self, args, state, control, logs=None, **_):
        self.read.append((logs["objective/kl"], logs["loss"], "loss" in logs, [*logs]))


def test_a_callback_without_guards_survives_evaluations(tmp_path):
    """Two rollouts, with an evaluation after each: its entry has the rollout's KL on demand."""
    watch = Unguarded()
    sets = {"eval_dataset": rows(), "eval_strategy": "steps", "eval_steps": 1}
    trainer = made(tmp_path, callbacks=[watch], **sets)
    trainer.train()
    kl, loss = history(trainer, "objective/kl"), history(trainer, "loss")
    expected = [(kl[0], loss[0]), (kl[0], loss[0]), (kl[1], loss[1]), (kl[1], loss[1])]
    assert [(*read[:2],) for read in watch.read] == expected and kl[1] > kl[0]
    assert [is_rollout for *_, is_rollout, _ in watch.read] == [True, False, True, False]
    own = ["eval_objective/scores", "eval_objective/kl", "epoch"]
    assert watch.read[1][3] == own, "trackers report nothing twice"
    assert len(history(trainer, "eval_objective/kl")) == 2


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (SyncRefModelCallback(None, None), "expected sync_ref_model=True in PPOConfig, got Sync"),
        (BEMACallback(), "expected a callback of your own, on model.policy, got BEMACallback"),
        (EarlyStoppingCallback(2), "expected eval_strategy and metric_.*, got 'no' and None"),
    ],
)
def test_a_callback_that_would_fail_in_the_run_is_refused(tmp_path, callback, message):
    with pytest.raises(ValueError, match=message):
        made(tmp_path, callbacks=[callback])
    with pytest.raises(ValueError, match=message):
        made(tmp_path).add_callback(callback)


class Keep(TrainerCallback):
    def on_train_end(self, args, state, control, model=None, **_):
        model.save_pretrained(f"{args.output_dir}/kept")


def test_callbacks_of_trl_run_and_the_model_that_they_get_can_be_saved(tmp_path):
    sets = {"eval_dataset": rows(), "eval_strategy": "steps", "eval_steps": 1}
    trainer = made(tmp_path, callbacks=[RichProgressCallback(), Keep()], **sets)
    trainer.train()
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "kept")
    assert torch.equal(toy.outputs(loaded), toy.outputs(trainer.policy))


def test_the_summary_of_a_run_is_returned_and_is_no_rollout(tmp_path):
    trainer = made(tmp_path)
    metrics = trainer.train().metrics
    assert metrics["train_runtime"] > 0
    assert history(trainer, "train_runtime") == []
    assert trainer.state.log_history[-1]["episode"] == 8


def evaluated(tmp_path, **settings):
    parts = toy.tokenizer(), toy.policy(), toy.reward, toy.reward_model()
    return best.main(*parts, rows(), rows(prompt=PROMPTS[:2]), str(tmp_path), **settings)


def test_the_checkpoint_with_the_best_score_is_kept_and_loaded(tmp_path):
    trainer = evaluated(tmp_path)
    scores = history(trainer, "eval_objective/scores")
    assert trainer.state.best_metric == max(scores)
    assert "objective/scores" in trainer.state.log_history[-1], "of the last rollout"
    step = 4 * (1 + scores.index(max(scores)))
    assert trainer.state.best_model_checkpoint == str(tmp_path / f"checkpoint-{step}")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / f"checkpoint-{step}")
    kept = AutoModelForCausalLM.from_pretrained(tmp_path)
    for model in (loaded, kept):
        assert torch.equal(toy.outputs(model), toy.outputs(trainer.policy))
    assert trainer.evaluate()["eval_objective/scores"] == pytest.approx(max(scores), abs=1e-6)


def test_the_lowest_kl_may_be_the_best_and_stops_a_run_early(tmp_path):
    """The KL only grows: the first checkpoint is the best, and two worse ones stop the run."""
    settings = {"metric_for_best_model": "objective/kl", "greater_is_better": False}
    trainer = evaluated(tmp_path, **settings, kl_coef=0.0)
    kl = history(trainer, "eval_objective/kl")
    assert trainer.state.global_step == 12 and kl[0] == min(kl) == trainer.state.best_metric
    assert trainer.evaluate()["eval_objective/kl"] == pytest.approx(kl[0], rel=1e-4)
    state = json.loads((tmp_path / "checkpoint-12" / "trainer_state.json").read_text())
    assert state["best_global_step"] == 4


@pytest.mark.parametrize(
    ("metric", "sets", "expected"),
    [
        ("accuracy", rows(), "'accuracy', .*: objective/scores or objective/kl$"),
        (None, {"a": rows()}, "'objective/scores', .*: a_objective/scores or a_objective/kl$"),
    ],
)
def test_a_metric_that_no_evaluation_has_is_refused(tmp_path, metric, sets, expected):
    settings = {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}
    with pytest.raises(ValueError, match=f"^metric_for_best_model got {expected}"):
        made(tmp_path, eval_dataset=sets, metric_for_best_model=metric, **settings)
    name = "a_objective/scores" if isinstance(sets, dict) else "eval_objective/scores"
    made(tmp_path, eval_dataset=sets, metric_for_best_model=name, **settings)


def test_batches_of_evaluation_prompts_are_padded_on_the_left(tmp_path):
    trainer = made(tmp_path, eval_dataset=rows(), per_device_eval_batch_size=3)
    first, second = trainer.eval_dataloader
    assert first["input_ids"].tolist() == [[1, 1, 2, 4], [1, 1, 3, 5], [2, 5, 6, 13]]
    assert first["attention_mask"].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1]]
    assert second["input_ids"].tolist() == [[13, 3, 4]]
