"""What is measured of a run between two steps, as its events hold it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from transformers import PreTrainedModel, Trainer

from align_core.config.methods import methods
from align_core.evaluation.evaluator import Evaluator
from align_core.evaluation.pair_accuracy import agreement
from align_core.evaluation.provenance import coverage
from align_core.evaluation.reference_samples import frontier, stored_samples
from align_core.models.rewards import ProxyReward
from align_core.models.sharding import whole
from align_core.runs.control import Control
from align_core.trainers.common import Setup
from align_core.trainers.ppo.trainer import PPOTrainer
from align_core.training.example_token import close_up


def measure_of(
    setup: Setup, trainer: Trainer, control: Control
) -> PolicyMeasure | RewardModelMeasure:
    """What measures the model that a trainer makes. Called, it gives the payload of each event."""
    if methods()[setup.config.method].makes == "reward model":
        return RewardModelMeasure(setup, trainer)
    return PolicyMeasure(setup, trainer, control)


class PolicyMeasure:
    """A policy on the probe prompts: metrics, samples and, of PPO, a token of its rollouts."""

    def __init__(self, setup: Setup, trainer: Trainer, control: Control) -> None:
        config, task = setup.config, setup.task
        prompts = task.prompts("probe")
        if setup.proxy is not None:
            setup.proxy.model.to(trainer.args.device)
        self._setup, self._trainer = setup, trainer
        self._evaluator = Evaluator(
            prompts,
            setup.tokenizer,
            setup.reference,
            gold=setup.gold,
            proxy=setup.proxy,
            frontier=frontier(config.task, config.model, "probe", prompts),
            max_new_tokens=task.max_new_tokens,
            seed=config.seed,
            sides=task.sides(coverage(config), prompts),
            interrupted=lambda: control.stopping,
        )

    @property
    def model(self) -> PreTrainedModel:
        """The policy; TRL may wrap it in an adapter, and PPO joins it to its values."""
        return getattr(self._trainer, "policy", self._trainer.model)

    def whole(self) -> AbstractContextManager:
        """The context in which no process needs another."""
        return whole(self._trainer.model, self._setup.reference)

    def __call__(self) -> dict[str, Any]:
        """Raises Interrupted when the run is stopped in the middle of it."""
        with self.whole():
            found = self._evaluator(self.model)
            token = close_up(self._trainer) if isinstance(self._trainer, PPOTrainer) else None
        events = {
            "metrics": self._evaluator.metrics(found),
            "samples": self._evaluator.shown(found),
        }
        return events if token is None else {**events, "token": token}


class RewardModelMeasure:
    """A reward model on held-out pairs of stored samples of the reference, where there are any."""

    def __init__(self, setup: Setup, trainer: Trainer) -> None:
        self._trainer, self._tokenizer = trainer, setup.tokenizer
        stored = stored_samples(setup.config.task, "probe")
        if stored is None:
            self._parts = {}
            return
        sides = setup.task.sides(setup.config.coverage, stored.prompts)
        self._parts = {"": stored} | {
            f"_{side}": stored.only(prompts) for side, prompts in sides.items()
        }

    @property
    def model(self) -> PreTrainedModel:
        """The reward model; TRL may wrap it in an adapter."""
        return self._trainer.model

    def whole(self) -> AbstractContextManager:
        """The context in which no process needs another."""
        return whole(self.model)

    def __call__(self) -> dict[str, Any]:
        metrics: dict[str, float | None] = {"eval/accuracy": None, "eval/margin": None}
        with self.whole():
            proxy = ProxyReward(self.model, self._tokenizer)
            for part, samples in self._parts.items():
                accuracy, margin = agreement(proxy, self._tokenizer, samples)
                metrics[f"eval/accuracy{part}"] = accuracy.mean().item()
                metrics[f"eval/margin{part}"] = margin.mean().item()
        return {"metrics": metrics}
