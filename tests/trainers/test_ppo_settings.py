"""PPO's default settings, the settings that a run passes to it, and its metrics."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace

import pytest
import torch
from accelerate.utils import DistributedType
from transformers import TrainingArguments

from align_core.config.messages import Message
from align_core.models.rewards import ProxyReward
from align_core.objectives import entropy
from align_core.trainers import common
from align_core.trainers.common import WARMUP, FiniteTraining, NonFinite, ShardedTraining
from align_core.trainers.ppo import build
from align_core.trainers.ppo.config import PPOConfig
from align_core.trainers.ppo.metrics import rollout_metrics, step_metrics
from tests import toy

TRL = {  # PPOConfig of TRL 1.12, where it has the setting
    "learning_rate": 3e-6,
    "num_ppo_epochs": 4,
    "num_mini_batches": 1,
    "response_length": 53,
    "temperature": 1.0,
    "kl_coef": 0.05,
    "gamma": 1.0,
    "lam": 0.95,
    "cliprange": 0.2,
    "cliprange_value": 0.2,
    "vf_coef": 0.1,
    "logging_steps": 1,  # its default is 10, but it logs each rollout
}
OWN = {
    "kl_horizon": 10_000,
    "vllm_gpu_memory_utilization": 0.3,
    "ref_model_mixup_alpha": 0.05,
    "ref_model_sync_steps": 1,
}


def test_the_defaults_are_those_of_trl_and_the_papers():
    defaults = {field.name: field.default for field in fields(PPOConfig)}
    assert {name: defaults[name] for name in TRL | OWN} == TRL | OWN
    ours = defaults.keys() - {field.name for field in fields(TrainingArguments)}
    others = {name: defaults[name] for name in ours - TRL.keys() - OWN.keys()}
    assert {name: value for name, value in others.items() if isinstance(value, int | float)} == {
        "whiten_rewards": False,
        "whiten_advantages": True,
        "sync_ref_model": False,
        "num_sample_generations": 0,
        "ds3_gather_for_generation": True,
    }


def config(tmp_path, **changes) -> PPOConfig:
    return PPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, **changes)


@pytest.mark.parametrize("name", ["temperature", "top_k", "top_p", "kl_target"])
def test_zero_is_refused_for_settings_above_zero(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name} got 0"):
        config(tmp_path, **{name: 0})
    allowed = 1 if name == "top_k" else 0.1
    assert getattr(config(tmp_path, **{name: allowed}), name) == allowed


def test_a_probability_above_one_is_refused(tmp_path):
    assert config(tmp_path, top_p=1.0).top_p == 1.0
    with pytest.raises(ValueError, match="top_p got 1.5"):
        config(tmp_path, top_p=1.5)


def test_an_empty_stop_string_is_refused(tmp_path):
    assert config(tmp_path, stop_strings=["good"]).stop_strings == ["good"]
    for strings in ([], [""], ["good", ""]):
        with pytest.raises(ValueError, match="stop_strings got"):
            config(tmp_path, stop_strings=strings)


def test_the_episodes_of_a_run_in_optimiser_steps(tmp_path, monkeypatch):
    """2 · 4 episodes a rollout, 3 epochs of 2 minibatches: 6 updates from each rollout."""
    options = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    options |= {"num_ppo_epochs": 3, "num_mini_batches": 2}
    one = config(tmp_path, **options)
    assert (one.local_episodes, one.updates_per_rollout, one.micro_batches_per_rollout) == (
        8,
        6,
        24,
    )
    # 17 episodes are 3 rollouts; without a number 3 epochs of 20 prompts are 60, 8 rollouts
    assert config(tmp_path, total_episodes=17, **options).counted_in_updates(20).max_steps == 3 * 6
    for unset in (-1, 0):
        counted = config(tmp_path, max_steps=unset, **options).counted_in_updates(20)
        assert counted.max_steps == 8 * 6
    counted = config(tmp_path, max_steps=7, **options).counted_in_updates(20)
    assert counted.max_steps == 2 * 6, "whole rollouts, so that the end can be resumed"
    assert (counted.total_episodes, counted.num_total_batches) == (2 * 8, 2)
    # a minibatch of 4 is two pieces of at most 2; texts are sampled 2 at a time
    counted = one.counted_in_updates(20)
    assert (counted.gradient_accumulation_steps, counted.per_device_train_batch_size) == (2, 4)
    assert counted.sampling_batch_size == 2
    # of one text at a time a minibatch of 4 is four pieces, of 8 it is one
    for size, pieces, each in ((1, 4, 2), (8, 1, 8)):
        parts = {"per_device_train_batch_size": size, "gradient_accumulation_steps": 8 // size}
        counted = config(tmp_path, **options | parts).counted_in_updates(20)
        assert (counted.gradient_accumulation_steps, counted.per_device_train_batch_size) == (
            pieces,
            each,
        )
    counted = config(tmp_path, max_steps=1, **options).counted_in_updates(20)
    assert counted.max_steps == 6, "one rollout"
    # steps of logging count rollouts; below 1 they are a share of the run's 8
    shares = config(tmp_path, logging_steps=2, save_steps=0.2, **options).counted_in_updates(20)
    assert (shares.logging_steps, shares.save_steps) == (2 * 6, 2 * 6)
    # an epoch of 20 prompts ends nearest to the end of rollout 2.5, one of 3 within the first
    for prompts, rollouts in ((20, 2), (3, 1)):
        epochs = config(tmp_path, save_strategy="epoch", **options).counted_in_updates(prompts)
        assert (epochs.save_strategy, epochs.save_steps) == ("steps", rollouts * 6)
    with pytest.raises(ValueError, match="max_steps or total_episodes for a stream"):
        config(tmp_path, **options).counted_in_updates(None)
    # two processes make 16 episodes a rollout: 17 are 2 rollouts
    monkeypatch.setattr(PPOConfig, "world_size", 2)
    assert config(tmp_path, total_episodes=17, **options).counted_in_updates(20).max_steps == 2 * 6


def test_a_run_is_named_by_run_name_or_else_by_exp_name(tmp_path):
    names = ({}, {"exp_name": "b"}, {"run_name": "a"}, {"run_name": "a", "exp_name": "b"})
    assert [config(tmp_path, **each).run_name for each in names] == [None, "b", "a", "a"]


def test_a_process_uses_one_gpu_at_most(tmp_path, monkeypatch):
    for count, used in ((0, 0), (1, 1), (4, 1)):
        monkeypatch.setattr(PPOConfig, "n_gpu", count)
        assert config(tmp_path)._n_gpu == used


def test_the_end_token_of_a_response(tmp_path):
    assert config(tmp_path).end_ids([7, 9]) == [7, 9]
    assert config(tmp_path, stop_token=None).end_ids([7, 9]) == []
    assert config(tmp_path, stop_token_id=3).end_ids([7, 9]) == [3]


@pytest.mark.parametrize(
    ("reward_model", "lora_r", "lam", "valued"),
    [
        ("reward-reviews", 0, 1.0, True),
        ("reward-reviews", 4, 0.95, False),
        ("gold", 0, 0.95, False),
    ],
)
def test_the_arguments_that_a_run_gives_its_trainer(monkeypatch, reward_model, lora_r, lam, valued):
    monkeypatch.setattr(build, "make_trainer", lambda *models, **options: (models, options))
    gold, proxy = object(), ProxyReward(toy.reward_model(), toy.tokenizer())
    setup = SimpleNamespace(
        config=SimpleNamespace(reward_model=reward_model, lora_r=lora_r, lora_layers=2, beta=0.3,
                               batch_size=6, steps=80, whiten_advantages=False),
        task=SimpleNamespace(max_new_tokens=11),
        model="policy", reference="reference", tokenizer="tokenizer", data="prompts",
        gold=gold, proxy=None if reward_model == "gold" else proxy, arguments={"seed": 5},
    )  # fmt: skip
    models, options = build.build(setup)
    assert models == ("policy", "reference", "tokenizer", "prompts")
    assert options["reward"] is (gold if reward_model == "gold" else proxy)
    assert (options.pop("value_model") is not None) == valued
    assert WARMUP == 8
    assert {name: options[name] for name in options.keys() - {"reward"}} == {
        "lam": lam,
        "kl_coef": 0.3,
        "num_mini_batches": 2,
        "num_ppo_epochs": 2,
        "cliprange_value": 5.0,
        "response_length": 11,
        "whiten_advantages": False,
        "lora_r": lora_r,
        "lora_layers": 2,
        "warmup_steps": 10,
        "seed": 5,
    }


def test_the_metrics_of_a_rollout():
    episodes = SimpleNamespace(
        kl=torch.tensor([1.0, 2.0]), entropy=torch.tensor([3.0, 5.0]),
        scores=torch.tensor([0.5, 1.5]), ended=torch.tensor([True, False]),
        by_reward=torch.zeros(2, 1),
    )  # fmt: skip
    estimate = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    metrics = {
        name: value.item() for name, value in rollout_metrics(episodes, estimate, 2.0).items()
    }
    assert metrics == pytest.approx(
        {
            "objective/kl": 1.5,
            "objective/kl_estimate": 0.5,  # (0.3 + 0.7) / 2
            "objective/kl_coef": 2.0,
            "objective/entropy": 4.0,
            "objective/scores": 1.0,
            "objective/non_score_reward": -1.0,  # −2 · 0.5
            "objective/rlhf_reward": 0.0,
            "val/num_eos_tokens": 1.0,
        },
        abs=1e-6,
    )


def test_the_metrics_of_a_step_are_means_over_its_tokens():
    mask = torch.tensor([[True, True], [True, False]])
    batch = SimpleNamespace(logp=torch.zeros(2, 2), mask=mask)
    logp = torch.tensor([[0.1, -0.2], [0.3, 1e4]])  # exp(1e4) outside the mask is infinite
    logits = torch.tensor([[[0.0, 0.0], [1.0, 0.0]], [[2.0, 0.0], [5.0, 0.0]]])
    columns = [torch.tensor([[1.0, 2.0], [6.0, 99.0]]) * scale for scale in (1.0, 0.0, 2.0, 1.0)]
    names = "loss/value_avg", "val/clipfrac_avg"
    others = dict(zip(names, columns[2:], strict=True))
    metrics = step_metrics(batch, entropy(logits), logp, *columns[:2], **others)
    ratios = torch.tensor([0.1, -0.2, 0.3]).exp()
    assert {name: value.item() for name, value in metrics.items()} == pytest.approx(
        {
            "policy/approxkl_avg": 0.5 * (0.01 + 0.04 + 0.09) / 3,
            "policy/clipfrac_avg": 0.0,
            "policy/entropy_avg": entropy(logits)[mask].mean().item(),
            "loss/policy_avg": 3.0,
            "loss/value_avg": 6.0,
            "val/clipfrac_avg": 3.0,
            "val/ratio": ratios.mean().item(),
            "val/ratio_var": ((ratios - 1) ** 2).mean().item(),
        },
        rel=1e-5,
    )


class Step:
    """A Trainer whose step has this loss."""

    loss = 1.0

    def training_step(self, model, inputs):
        return torch.tensor(self.loss)


class Finite(FiniteTraining, Step):
    def __init__(self, deepspeed: bool, skipped: bool) -> None:
        self.is_deepspeed_enabled = deepspeed
        self.optimizer = SimpleNamespace(step_was_skipped=skipped)
        self.accelerator = SimpleNamespace(num_processes=1, device="cpu", reduce=lambda x, _: x)


def test_a_step_that_deepspeed_skipped_counts_as_not_finite():
    model = torch.nn.Linear(1, 1)
    for deepspeed, skipped in ((False, False), (False, True), (True, False)):
        assert Finite(deepspeed, skipped).training_step(model, {}) == 1.0
    with pytest.raises(NonFinite) as error:
        Finite(True, True).training_step(model, {})
    assert error.value.message == Message("gradient", {}, "a gradient is not finite")


def test_what_is_not_finite_is_named():
    model = torch.nn.Linear(1, 1)
    diverged = Finite(False, False)
    diverged.loss = float("nan")
    of_another = Finite(False, False)
    of_another.accelerator.num_processes = 2
    of_another.accelerator.reduce = lambda flag, _: flag + 1
    for trainer, message in (
        (diverged, Message("loss", {"value": "nan"}, "the loss is nan")),
        (of_another, Message("gradient", {}, "a gradient of another process is not finite")),
    ):
        with pytest.raises(NonFinite) as error:
            trainer.training_step(model, {})
        assert error.value.message == message


class Prepared:
    """A Trainer on an accelerator of this type."""

    def __init__(self, distributed_type: DistributedType) -> None:
        self._type = distributed_type

    def create_accelerator_and_postprocess(self):
        self.accelerator = SimpleNamespace(distributed_type=self._type)
        self.model, self.saved = torch.nn.Linear(1, 1, bias=False), []

    def save_model(self, folder, internal):
        self.saved.append(("by Trainer", folder, internal))

    def _save(self, folder, weights):
        self.saved.append((folder, [*weights]))


class Sharded(ShardedTraining, Prepared):
    pass


def test_weights_are_sharded_under_fsdp_only(monkeypatch):
    monkeypatch.setattr(common, "apply_accelerate_config", lambda accelerator: None)
    types = DistributedType.FSDP, DistributedType.NO, DistributedType.MULTI_GPU
    sharded = []
    for one in types:
        trainer = Sharded(one)
        trainer.create_accelerator_and_postprocess()
        sharded.append(trainer.is_fsdp_enabled)
        trainer.save_model("folder", True)
        whole = [("folder", ["weight"])]
        assert trainer.saved == (whole if one == types[0] else [("by Trainer", "folder", True)])
    assert sharded == [True, False, False]
