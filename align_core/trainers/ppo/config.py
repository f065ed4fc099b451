"""The settings of PPO, named as in TRL's last PPO (1.12), and what replaces those of older ones."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from transformers import TrainingArguments

# Settings of TRL's PPO, in any version, that do not exist here, and what replaces them.
ELSEWHERE = {
    "local_rollout_forward_batch_size": "per_device_train_batch_size, with which it also samples",
    "num_sample_generations": "eval_strategy with an eval_dataset, or a callback",
    "dataset_num_proc": "nothing: prompts are encoded when they are sampled from",
    "ds3_gather_for_generation": "nothing: no ZeRO 3, and FSDP gathers before a rollout",
    "sft_model_path": "the argument model of PPOTrainer",
    "reward_model_path": "the argument reward_model of PPOTrainer",
    "model_adapter_name": "the argument peft_config of PPOTrainer",
    "ref_adapter_name": "the argument peft_config: the reference is the policy without its adapter",
    "exp_name": "run_name",
    "world_size": "accelerate launch --num_processes",
    "num_total_batches": "total_episodes",
    "batch_size": "per_device_train_batch_size times gradient_accumulation_steps",
    "local_batch_size": "per_device_train_batch_size times gradient_accumulation_steps",
    "mini_batch_size": "num_mini_batches",
    "local_mini_batch_size": "num_mini_batches",
    "micro_batch_size": "per_device_train_batch_size",
    "ppo_epochs": "num_ppo_epochs",
    "init_kl_coef": "kl_coef",
    "adap_kl_ctrl": "kl_target, which makes the coefficient adaptive",
    "target": "kl_target",
    "horizon": "kl_horizon",
}


@dataclass
class PPOConfig(TrainingArguments):
    """`TrainingArguments` and PPO's own settings.

    A rollout has per_device_train_batch_size × gradient_accumulation_steps episodes on each
    process. Each of its `num_ppo_epochs` epochs is `num_mini_batches` optimiser steps. A run has
    `total_episodes` (by default `num_train_epochs` over the prompts), or `max_steps` optimiser
    steps. `logging_steps`, `save_steps`, `eval_steps` and `warmup_steps`
    count rollouts.

    Args:
        kl_coef: β, in nats of reward per nat of KL.
        kl_target: the sequence KL, in nats, that an adaptive β aims at (arXiv 1909.08593, 2.2);
            None keeps β fixed.
        kl_horizon: episodes in which the adaptive β can change by about a fifth.
        kl_estimator: "k1" = log π − log π_ref, or "k3", never negative.
        response_length: the maximum number of tokens of a response.
        stop_token: "eos" ends a response at each end token of the model, None at `response_length`.
        stop_token_id: id of another token that ends a response, instead of `stop_token`.
        missing_eos_penalty: subtracted from the score of a response that did not end by itself.
        temperature: of the policy, in sampling and in the loss, and of its reference.
        gamma, lam: discount and λ of advantage estimation (arXiv 1506.02438).
        whiten_rewards: scale rewards to variance 1; they are then no longer in nats.
        whiten_advantages: shift and scale advantages to mean 0 and variance 1 (arXiv 2404.10719).
        sync_ref_model: move the reference towards the policy (the EMA of arXiv 2404.10719):
            every `ref_model_sync_steps` rollouts, π_ref ← α·π + (1 − α)·π_ref, in the weights,
            with α = `ref_model_mixup_alpha`. The KL is to the current reference.
        cliprange, cliprange_value: clip ranges of ratio and value.
        vf_coef: weight of the value loss.
    """

    learning_rate: float = 3e-6
    logging_steps: float = 10
    total_episodes: int | None = None
    num_ppo_epochs: int = 4
    num_mini_batches: int = 1
    response_length: int = 53
    stop_token: Literal["eos"] | None = "eos"
    stop_token_id: int | None = None
    missing_eos_penalty: float | None = None
    temperature: float = 1.0
    kl_coef: float = 0.05
    kl_target: float | None = None
    kl_horizon: int = 10_000
    kl_estimator: Literal["k1", "k3"] = "k1"
    gamma: float = 1.0
    lam: float = 0.95
    whiten_rewards: bool = False
    whiten_advantages: bool = True
    sync_ref_model: bool = False
    ref_model_mixup_alpha: float = 0.05
    ref_model_sync_steps: int = 1
    cliprange: float = 0.2
    cliprange_value: float = 0.2
    vf_coef: float = 0.1
    remove_unused_columns: bool = False
    ddp_find_unused_parameters: bool | None = False  # every parameter is used in the loss
    sampling_batch_size: int | None = field(init=False, default=None)  # `counted_in_updates`

    def __new__(cls, *_: Any, **settings: Any) -> PPOConfig:
        """Raises TypeError for settings in ELSEWHERE, naming what replaces each."""
        if foreign := [f"{name}: use {ELSEWHERE[name]}" for name in settings if name in ELSEWHERE]:
            raise TypeError("PPOConfig has no setting " + "; no ".join(foreign))
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Raises ValueError for invalid values."""
        super().__post_init__()
        if self.stop_token not in (None, "eos"):
            raise ValueError(f"stop_token got {self.stop_token!r}, expected 'eos' or None")
        if self.kl_estimator not in ("k1", "k3"):
            raise ValueError(f"kl_estimator got {self.kl_estimator!r}, expected 'k1' or 'k3'")
        if self.temperature <= 0:
            raise ValueError(f"temperature got {self.temperature}, expected a number above 0")
        if self.missing_eos_penalty is not None and self.missing_eos_penalty <= 0:
            got = self.missing_eos_penalty
            raise ValueError(f"missing_eos_penalty got {got}, expected a number above 0, or None")
        if self.activation_checkpointing:
            raise ValueError("activation_checkpointing got True, expected False")
        if self.load_best_model_at_end:
            raise ValueError("load_best_model_at_end got True, expected False")
        self._n_gpu = min(self.n_gpu, 1)  # each process uses one GPU
        if self.local_episodes % self.num_mini_batches:
            raise ValueError(
                f"num_mini_batches got {self.num_mini_batches}, expected a divisor of the "
                f"{self.local_episodes} episodes of a rollout on each process"
            )

    @property
    def local_episodes(self) -> int:
        """Episodes of a rollout on each process."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps

    @property
    def updates_per_rollout(self) -> int:
        """Optimiser steps made from one rollout."""
        return self.num_ppo_epochs * self.num_mini_batches

    @property
    def micro_batches_per_rollout(self) -> int:
        """Forward and backward passes of each process for one rollout."""
        return self.updates_per_rollout * self.gradient_accumulation_steps

    @property
    def stops_at_ends(self) -> bool:
        """Whether the model's own end tokens end a response."""
        return self.stop_token == "eos" and self.stop_token_id is None

    def end_ids(self, of_model: list[int]) -> list[int]:
        """Ids of the tokens that end a response; none if only `response_length` ends it.

        `of_model` are the end tokens of policy and tokenizer.
        """
        if self.stop_token_id is not None:
            return [self.stop_token_id]
        return of_model if self.stops_at_ends else []

    def counted_in_updates(self, prompts: int) -> PPOConfig:
        """A copy in Trainer's units: optimiser steps and micro-batches.

        A minibatch larger than `per_device_train_batch_size` is split into equal micro-batches,
        whose gradients are accumulated. `sampling_batch_size` keeps the original size, in which
        texts are sampled. `prompts` is the number of rows in an epoch of `num_train_epochs`.
        """
        counted, minibatch = copy.copy(self), self.local_episodes // self.num_mini_batches
        counted.gradient_accumulation_steps = next(
            micro_batches
            for micro_batches in range(1, minibatch + 1)
            if minibatch % micro_batches == 0
            and minibatch // micro_batches <= self.per_device_train_batch_size
        )
        micro_batches = counted.gradient_accumulation_steps
        counted.sampling_batch_size = self.per_device_train_batch_size
        counted.per_device_train_batch_size = self.local_episodes // micro_batches
        if self.max_steps <= 0:
            episodes = self.total_episodes or math.ceil(self.num_train_epochs * prompts)
            rollouts = math.ceil(episodes / (self.local_episodes * self.world_size))
            counted.max_steps = rollouts * self.updates_per_rollout
        rollouts = counted.max_steps // self.updates_per_rollout
        for name in ("logging_steps", "save_steps", "eval_steps", "warmup_steps"):
            steps = getattr(self, name)
            if steps:  # below 1 it is a fraction of the run, as in Trainer
                count = int(steps) if steps >= 1 else math.ceil(steps * rollouts)
                setattr(counted, name, count * self.updates_per_rollout)
        return counted
