"""Subclasses of scripts, which override methods of TRL's PPO trainer."""

from __future__ import annotations

import json

import pytest
from datasets import Dataset

from align_core import PPOTrainer
from tests import toy
from tests.ports.ported import history, made, rows
from tests.ports.scripts import journal, rates


@pytest.mark.parametrize("settings", [{}, {"eval_strategy": "steps", "eval_steps": 1}])
def test_log_gets_the_whole_entry_of_each_rollout(tmp_path, settings):
    """Three rollouts. An evaluation has the metrics of the last rollout; the summary of the run is
    not logged."""
    parts = toy.tokenizer(), toy.policy(), toy.reward_model(), toy.reward_model()
    trainer = journal.main(*parts, rows(), str(tmp_path), **settings)
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    times = 2 if settings else 1
    for name, values in {name: [line[name] for line in lines] for name in lines[0]}.items():
        assert values == [v for v in history(trainer, name) for _ in range(times)], name
    scores, kl = history(trainer, "objective/scores"), history(trainer, "objective/kl")
    own = history(trainer, "objective/score_per_kl")[::times]
    assert own == [score / max(k, 1e-6) for score, k in zip(scores, kl, strict=True)]
    trainer.log({"episode": 0, "objective/kl": 0.0, "objective/scores": 0.0, "lr": 0.0})
    assert len((tmp_path / "journal.jsonl").read_text().splitlines()) == len(lines) + 1


def test_the_optimizer_and_the_schedule_can_be_read_and_changed_before_training(tmp_path, capsys):
    """4 rollouts: the rates of policy, policy without decay, and value model halve after each."""
    values = toy.reward_model()
    trainer = rates.main(toy.tokenizer(), toy.policy(), toy.reward, values, rows(), str(tmp_path))
    weights = sum(p.numel() for p in trainer.model.parameters())
    assert f"{weights} weights at a rate of 0.001" in capsys.readouterr().out
    assert history(trainer, "lr") == pytest.approx([1e-3, 5e-4, 2.5e-4, 1.25e-4])
    groups = trainer.optimizer.param_groups
    assert [group["lr"] for group in groups] == pytest.approx([1e-3 / 16, 1e-3 / 16, 1e-4 / 16])


def test_a_schedule_of_the_settings_is_that_of_the_run(tmp_path):
    """It exists before training, over the run's updates; a second run begins anew."""
    trainer = made(tmp_path, num_ppo_epochs=2, warmup_steps=1)
    assert trainer.lr_scheduler.get_last_lr()[0] == 0.0
    trainer.train()
    assert history(trainer, "lr") == pytest.approx([5e-4, 5e-4]), "2 of 2 up, 1 of 2 down"


def test_an_own_train_dataloader_is_refused_where_the_class_is_defined(tmp_path):
    with pytest.raises(TypeError, match="get_train_dataloader: .* IterableDataset, got Curated's"):

        class Curated(PPOTrainer):
            def get_train_dataloader(self):
                return []

    trainer = made(tmp_path)
    with pytest.raises(AttributeError, match="expected the rows as train_dataset"):
        trainer.dataloader = []


def test_a_run_by_epochs_has_as_many_episodes_as_trls(tmp_path):
    """Half an epoch of 5 prompts is 2 episodes, so a rollout of 2; TRL cuts fractions off."""
    data = Dataset.from_dict({"prompt": ["the film"] * 5})
    sizes = {"per_device_train_batch_size": 2, "num_sample_generations": 3}
    trainer = made(
        tmp_path, data=data, eval_dataset=data, total_episodes=None, num_train_epochs=0.5, **sizes
    )
    assert (trainer.args.total_episodes, trainer.args.num_total_batches) == (2, 1)
    assert trainer.sample_generations_freq == 1
    assert trainer.callbacks is trainer.callback_handler.callbacks
