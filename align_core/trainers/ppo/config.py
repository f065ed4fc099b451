"""The settings of PPO, and of all methods on rollouts, named as in TRL's last PPO (1.12).

Names of older PPOs raise an error.
"""

from __future__ import annotations

import copy
import math
from argparse import SUPPRESS
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

from transformers import TrainingArguments

from align_core.models import distributed
from align_core.trainers.ppo.ranges import check_settings
from align_core.trainers.ppo.replaced import ELSEWHERE, FLAGS, ONLY_NONE, ReplacedFlag, uses


def _setting(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"help": meaning})


@dataclass
class RolloutConfig(TrainingArguments):
    """`TrainingArguments` and the settings of rollouts and of clipped steps on them, each with a
    `help` text for argument parsers.

    A rollout has per_device_train_batch_size × gradient_accumulation_steps episodes on each
    process. Each of its `num_ppo_epochs` epochs is `num_mini_batches` optimiser steps. A run has
    `total_episodes` (by default `num_train_epochs` over the prompts), or `max_steps` optimiser
    steps, in whole rollouts. `logging_steps`, `save_steps`, `eval_steps` and `warmup_steps` count
    rollouts, and strategies by epoch act at the end of the nearest rollout.
    """

    elsewhere: ClassVar[Mapping[str, str]] = ELSEWHERE
    choices: ClassVar[dict[str, tuple[str | None, ...]]] = {
        "stop_token": ("eos", None),
        "kl_estimator": ("k1", "k3"),
        "generator": ("transformers", "vllm"),
    }

    learning_rate: float = _setting(3e-6, "The highest learning rate of AdamW.")
    logging_steps: float = _setting(1, "Rollouts between two logs; below 1, a share of the run.")
    total_episodes: int | None = _setting(
        None, "Episodes of the run; by default num_train_epochs over the prompts."
    )
    num_ppo_epochs: int = _setting(4, "Epochs over each rollout.")
    num_mini_batches: int = _setting(1, "Minibatches of an epoch, an optimiser step each.")
    response_length: int = _setting(53, "The maximum number of tokens of a response.")
    stop_token: Literal["eos"] | None = _setting(
        "eos", "'eos' ends a response at any end token of the model, None at response_length."
    )
    stop_token_id: int | None = _setting(
        None, "Id of the token, or a list of ids, that ends a response instead of stop_token."
    )
    stop_strings: list[str] | None = _setting(
        None, "Texts that also end a response, and remain in it."
    )
    missing_eos_penalty: float | None = _setting(
        None, "Subtracted from the score of a response that did not end by itself."
    )
    temperature: float = _setting(
        1.0, "The temperature of policy and reference, in sampling and in the loss."
    )
    top_k: int | None = _setting(
        None, "Sample only from the k likeliest tokens; log-probabilities and KL are over all."
    )
    top_p: float | None = _setting(
        None, "Sample only from the likeliest tokens that together have this probability."
    )
    generator: Literal["transformers", "vllm"] = _setting(
        "transformers", "What samples the responses: this process, or vLLM on its GPU."
    )
    vllm_gpu_memory_utilization: float = _setting(
        0.3, "With 'vllm', the share of the GPU's memory for its weights and cache."
    )
    reward_weights: list[float] | None = _setting(
        None, "The weight of each of several rewards; by default 1."
    )
    kl_coef: float = _setting(0.05, "β, in nats of reward per nat of KL.")
    kl_target: float | None = _setting(
        None,
        "The target of an adaptive β: a sequence KL, in nats (arXiv 1909.08593, section 2.2). None "
        "keeps β fixed.",
    )
    kl_horizon: int = _setting(
        10_000, "Episodes in which the adaptive β can change by about a fifth."
    )
    kl_estimator: Literal["k1", "k3"] = _setting(
        "k1",
        "'k1' is log π − log π_ref; 'k3' is never negative, but does not keep the policy near the "
        "reference.",
    )
    sync_ref_model: bool = _setting(
        False,
        "Move the reference towards the policy (the EMA of arXiv 2404.10719). The KL is to the "
        "current reference.",
    )
    ref_model_mixup_alpha: float = _setting(
        0.05, "α of sync_ref_model, which moves the weights: π_ref ← α·π + (1 − α)·π_ref."
    )
    ref_model_sync_steps: int = _setting(1, "Rollouts between two movements of the reference.")
    cliprange: float = _setting(0.2, "Clip range of the probability ratio.")
    local_rollout_forward_batch_size: int | None = _setting(
        None, "Texts sampled and scored at a time; by default per_device_train_batch_size."
    )
    num_sample_generations: int = _setting(
        0, "How often the run prints responses to prompts of the eval_dataset."
    )
    metric_for_best_model: str | None = _setting(
        None, "The metric of load_best_model_at_end; by default the score of an evaluation."
    )
    run_name: str | None = _setting(None, "The name of the run in trackers.")
    exp_name: str | None = _setting(None, "The name of the run, if it has no run_name.")
    sft_model_path: str | None = _setting(None, "The policy, for a script to load.")
    reward_model_path: str | None = _setting(None, "The reward model, for a script to load.")
    dataset_num_proc: int | None = _setting(None, "Processes that prepare data, for a script.")
    ds3_gather_for_generation: bool = _setting(True, "No effect: ZeRO 3 is not supported.")
    model_adapter_name: str | None = _setting(None, "Only None: peft_config makes an adapter.")
    ref_adapter_name: str | None = _setting(None, "Only None: the reference needs no name.")
    remove_unused_columns: bool = _setting(False, "Reward functions get all columns.")
    ddp_find_unused_parameters: bool | None = _setting(False, "The loss uses all parameters.")
    replaced: str | None = field(
        default=None,
        metadata={"action": ReplacedFlag, "aliases": FLAGS, "nargs": "?", "help": SUPPRESS},
    )
    # See `counted_in_updates` for these two.
    sampling_batch_size: int | None = field(init=False, default=None)
    local_micro_batch_size: int | None = field(init=False, default=None)

    def __new__(cls, *_: Any, **settings: Any) -> Self:
        """Raises TypeError for settings in `elsewhere`, naming what replaces each."""
        if foreign := [name for name in settings if name in cls.elsewhere]:
            raise TypeError(uses(cls.__name__, "setting", foreign, cls.elsewhere))
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Raises ValueError for invalid values."""
        self.check()
        compares = (
            self.load_best_model_at_end
            or self.save_strategy == "best"
            or self.lr_scheduler_type == "reduce_lr_on_plateau"
        )
        if compares and self.metric_for_best_model is None:
            self.metric_for_best_model = "objective/scores"
        super().__post_init__()
        if self.run_name is None and self.exp_name is not None:
            self.run_name = self.exp_name
        self._n_gpu = min(self.n_gpu, 1)  # each process uses one GPU

    def check(self) -> None:
        """Raises ValueError for invalid values, which a script may also assign later."""
        check_settings(self)
        for name, values in self.choices.items():
            if (value := getattr(self, name)) not in values:
                expected = " or ".join(map(repr, values))
                raise ValueError(f"{name} got {value!r}, expected {expected}")
        if self.kl_target is not None and self.kl_coef == 0:
            line = "expected a number above 0 with kl_target, which adapts it by a factor"
            raise ValueError(f"kl_coef got 0, {line}")
        episodes = self.local_episodes * distributed.WORLD_SIZE
        if self.kl_target is not None and self.kl_horizon < episodes:
            line = f"expected {episodes} or more, the episodes of a rollout"
            raise ValueError(f"kl_horizon got {self.kl_horizon}, {line}")
        for name, replacement in ONLY_NONE.items():
            if (value := getattr(self, name)) is not None:
                raise ValueError(f"{name} got {value!r}, expected None; use {replacement}")
        by_score = {
            "load_best_model_at_end": self.load_best_model_at_end,
            "save_strategy": "best" if self.save_strategy == "best" else None,
        }
        for name, value in by_score.items():
            if value and self.eval_strategy == "no":
                line = "expected an eval_strategy, 'steps' or 'epoch', got 'no'"
                raise ValueError(f"{name}={value!r}: {line}")
        if "underflow_overflow" in (self.debug or ""):
            line = "expected nothing; a NaN or infinity always stops the run"
            raise ValueError(f"debug got 'underflow_overflow', {line}")
        if self.local_episodes % self.num_mini_batches:
            raise ValueError(
                f"num_mini_batches got {self.num_mini_batches}, expected a divisor of the "
                f"{self.local_episodes} episodes of a rollout on each process"
            )

    def check_evaluation(self, data: Any) -> None:
        """Raises ValueError if the run evaluates, but has no prompts for it."""
        strategy = str(getattr(self.eval_strategy, "value", self.eval_strategy))
        settings = {"eval_strategy": strategy, "eval_on_start": self.eval_on_start}
        for name, value in settings.items():
            if value not in ("no", False) and data is None:
                raise ValueError(f"eval_dataset: expected prompts for {name}={value!r}, got None")

    def to_dict(self) -> dict[str, Any]:
        """The settings. TrainingArguments would hide `stop_token` as if it were a secret."""
        return {**super().to_dict(), "stop_token": self.stop_token}

    @property
    def local_episodes(self) -> int:
        """Episodes of a rollout on each process."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps

    @property
    def texts_per_prompt(self) -> int:
        """Episodes of a rollout with the same prompt."""
        return 1

    @property
    def local_batch_size(self) -> int:
        """TRL's name for `local_episodes`."""
        return self.local_episodes

    @property
    def batch_size(self) -> int:
        """Episodes of a rollout on all processes."""
        return self.local_episodes * self.world_size

    @property
    def local_mini_batch_size(self) -> int:
        """Episodes of a minibatch on each process."""
        return self.local_episodes // self.num_mini_batches

    @property
    def mini_batch_size(self) -> int:
        """Episodes of a minibatch on all processes."""
        return self.local_mini_batch_size * self.world_size

    @property
    def micro_batch_size(self) -> int:
        """`per_device_train_batch_size` of all processes, as it was set."""
        return (self.local_micro_batch_size or self.per_device_train_batch_size) * self.world_size

    @property
    def num_total_batches(self) -> int | None:
        """Rollouts of the run; None before the trainer has counted its prompts."""
        if self.max_steps > 0:
            return math.ceil(self.max_steps / self.updates_per_rollout)
        return self.total_episodes and math.ceil(self.total_episodes / self.batch_size)

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

    def end_ids(self, model_ends: list[int]) -> list[int]:
        """Ids of the tokens that end a response; empty if only `response_length` ends it.

        `model_ends` are the end tokens of policy and tokenizer.
        """
        token_ids: Any = self.stop_token_id
        if token_ids is not None:
            return [*token_ids] if isinstance(token_ids, list | tuple) else [token_ids]
        return model_ends if self.stops_at_ends else []

    def counted_in_updates(self, prompts: int | None) -> Self:
        """A copy in Trainer's units: optimiser steps and micro-batches.

        A minibatch larger than `per_device_train_batch_size` is split into equal micro-batches,
        whose gradients are accumulated. `sampling_batch_size` is the number of texts sampled at a
        time; `local_micro_batch_size` keeps `per_device_train_batch_size` as it was set. `prompts`
        is the number of rows of the data set, None for a stream.

        Raises:
            ValueError: a stream without `max_steps` or `total_episodes`.
        """
        counted, minibatch = copy.copy(self), self.local_mini_batch_size
        counted.gradient_accumulation_steps = next(
            micro_batches
            for micro_batches in range(1, minibatch + 1)
            if minibatch % micro_batches == 0
            and minibatch // micro_batches <= self.per_device_train_batch_size
        )
        counted.sampling_batch_size = (
            self.local_rollout_forward_batch_size or self.per_device_train_batch_size
        )
        counted.local_micro_batch_size = self.per_device_train_batch_size
        counted.per_device_train_batch_size = (
            self.local_episodes // counted.gradient_accumulation_steps
        )
        rollouts = self.num_total_batches
        if rollouts is None:
            if prompts is None:
                line = "expected max_steps or total_episodes for a stream, or a loop of your own"
                raise ValueError(f"{line}, got neither")
            # Scripts read it from the settings that they gave, where TRL stores it, too.
            self.total_episodes = max(1, int(self.num_train_epochs * prompts))
            rollouts = math.ceil(self.total_episodes / self.batch_size)
        counted.max_steps = rollouts * self.updates_per_rollout
        counted.total_episodes = rollouts * self.batch_size
        for kind in ("logging", "save", "eval"):
            steps = getattr(self, f"{kind}_steps")
            strategy = getattr(self, f"{kind}_strategy")
            if strategy == "epoch" and prompts is not None:
                setattr(counted, f"{kind}_strategy", type(strategy)("steps"))
                steps = max(1, round(prompts / self.batch_size))
            setattr(counted, f"{kind}_steps", self._in_updates(steps, rollouts))
        counted.warmup_steps = self._in_updates(self.warmup_steps, rollouts)
        return counted

    def _in_updates(self, steps: float | None, rollouts: int) -> float | None:
        """A number of rollouts, or if below 1 a share of all, converted to optimiser steps."""
        if not steps:
            return steps
        count = int(steps) if steps >= 1 else math.ceil(steps * rollouts)
        return count * self.updates_per_rollout


@dataclass
class PPOConfig(RolloutConfig):
    """The settings of PPO: those of rollouts, and further ones for values and advantages."""

    gamma: float = _setting(1.0, "Discount of advantage estimation (arXiv 1506.02438).")
    lam: float = _setting(0.95, "λ of advantage estimation (arXiv 1506.02438).")
    whiten_rewards: bool = _setting(
        False, "Scale rewards to variance 1; they are then no longer in nats."
    )
    whiten_advantages: bool = _setting(
        True, "Shift and scale advantages to mean 0 and variance 1 (arXiv 2404.10719)."
    )
    cliprange_value: float = _setting(0.2, "Clip range of the value.")
    vf_coef: float = _setting(0.1, "Weight of the value loss.")
