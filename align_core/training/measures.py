"""The evaluations of a run between two steps, as payloads of its events.

Only the last evaluation of a run has confidence intervals, because they take long to compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

from align_core.config.methods import methods
from align_core.data.formats import Text
from align_core.evaluation.intervals import bootstrap_rows, ci95_of_mean
from align_core.evaluation.pair_accuracy import pair_accuracy
from align_core.evaluation.prepared import stored_samples
from align_core.models import distributed
from align_core.models.loading import load_tokenizer
from align_core.models.prompts import model_inputs
from align_core.models.rewards import ProxyReward
from align_core.models.sampling import end_ids
from align_core.models.sharding import unsharded
from align_core.optimum import ReferenceSamples
from align_core.runs.control import Control
from align_core.trainers.common import Setup
from align_core.trainers.ppo.trainer import PPOTrainer
from align_core.training.example_token import example_token
from align_core.training.probes import evaluator_of, shortfall_of


def measure_of(
    setup: Setup, trainer: Trainer, control: Control
) -> PolicyMeasure | RewardModelMeasure:
    """The evaluation of a trainer's model: a function that returns event kind -> payload."""
    if methods()[setup.config.method].makes == "reward model":
        return RewardModelMeasure(setup, trainer)
    return PolicyMeasure(setup, trainer, control)


class PolicyMeasure:
    """Evaluates a policy on the probe prompts: metrics, samples, and for PPO an example token."""

    def __init__(self, setup: Setup, trainer: Trainer, control: Control) -> None:
        if isinstance(setup.proxy, ProxyReward):
            setup.proxy.model.to(trainer.args.device)
        self._setup, self._trainer = setup, trainer
        self._evaluator = evaluator_of(
            setup.config,
            setup.task,
            setup.tokenizer,
            setup.reference,
            setup.proxy,
            end_ids(setup.model, setup.tokenizer),
            interrupted=lambda: control.stop_requested,
        )

    @property
    def model(self) -> PreTrainedModel:
        """The policy, with the adapter that TRL may have added, without PPO's value function."""
        return getattr(self._trainer, "policy", self._trainer.model)

    def unsharded(self) -> AbstractContextManager:
        """A context in which each process holds all weights."""
        return unsharded(self._trainer.model, self._setup.reference)

    def __call__(self) -> dict[str, Any]:
        """Event kind -> payload. Raises Interrupted if a stop is requested meanwhile."""
        with self.unsharded():
            evaluation = self._evaluator(self.model)
            token = example_token(self._trainer) if isinstance(self._trainer, PPOTrainer) else None
        metrics = self._evaluator.metrics(evaluation)
        if _is_last(self._trainer):
            intervals = self._evaluator.metrics.intervals(evaluation).items()
            metrics |= {name: width for name, width in intervals if name.startswith("eval/")}
            metrics |= shortfall_of(self._setup, evaluation, getattr(self._trainer, "beta", None))
        payloads = {"metrics": metrics, "samples": self._evaluator.samples(evaluation)}
        return payloads if token is None else {**payloads, "token": token}


class RewardModelMeasure:
    """Evaluates a reward model on pairs of stored samples; if there are none, its metrics are
    null."""

    def __init__(self, setup: Setup, trainer: Trainer) -> None:
        self._trainer, self._tokenizer, self._task = trainer, setup.tokenizer, setup.task
        reference = setup.task.reference or setup.config.model
        stored = stored_samples(setup.config.task, reference, "probe")
        if stored is None:
            self._parts = {}
            return
        stored = stored.select(stored.prompts[: setup.config.eval_prompts])
        self._writer = load_tokenizer(reference)
        assert setup.config.coverage is not None  # an option of every reward model's run
        subsets = setup.task.split_by_coverage(setup.config.coverage, stored.prompts)
        self._parts = {"": stored} | {
            f"_{subset}": stored.select(prompts) for subset, prompts in subsets.items()
        }

    @property
    def model(self) -> PreTrainedModel:
        """The reward model, with the adapter that TRL may have added."""
        return self._trainer.model

    def unsharded(self) -> AbstractContextManager:
        """A context in which each process holds all weights."""
        return unsharded(self.model)

    def __call__(self) -> dict[str, Any]:
        metrics: dict[str, float | None] = {"eval/accuracy": None, "eval/margin": None}
        with self.unsharded():
            columns = {
                f"eval/{name}{part}": values
                for part, samples in self._parts.items()
                for name, values in self._columns(samples).items()
            }
        for name, values in columns.items():
            metrics[name] = values.mean().item() if len(values) else None
            if _is_last(self._trainer) and len(values):
                width = ci95_of_mean(bootstrap_rows(len(values)), values.mean(1).numpy())
                metrics[f"{name}_ci95"] = width
        return {"metrics": metrics}

    def _columns(self, samples: ReferenceSamples) -> dict[str, Tensor]:
        """`accuracy` and `margin` of pairs of these samples, as from `pair_accuracy`."""
        proxy = ProxyReward(self.model, self._tokenizer, self._writer)
        inputs = model_inputs(self._writer, self._task, samples.prompts)
        measure = partial(_share_accuracy, proxy, self._writer, samples, inputs)
        parts = distributed.in_shares(len(samples.prompts), measure)
        accuracy, margin = (torch.cat(column) for column in zip(*parts, strict=True))
        return {"accuracy": accuracy, "margin": margin}


def _share_accuracy(
    proxy: ProxyReward,
    writer: PreTrainedTokenizerBase,
    samples: ReferenceSamples,
    inputs: Sequence[Text],
    share: range,
) -> tuple[Tensor, Tensor]:
    """The accuracy and the margin of `pair_accuracy` for this share of the samples' prompts."""
    share_samples = samples.select([samples.prompts[index] for index in share])
    share_inputs = [inputs[index] for index in share]
    return pair_accuracy(proxy, writer, share_samples, inputs=share_inputs)[:2]


def _is_last(trainer: Trainer) -> bool:
    """Whether no step follows: the trainer has taken all of them, or was stopped."""
    return trainer.control.should_training_stop
