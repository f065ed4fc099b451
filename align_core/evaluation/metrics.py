"""The metrics of an evaluation, and their 95% intervals; docs/metrics.md defines every metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from align_core.evaluation.against_optimum import AgainstOptimum
from align_core.evaluation.intervals import bootstrap_rows, ci95_of_mean
from align_core.evaluation.results import Evaluation
from align_core.evaluation.win_rate import wins
from align_core.optimum import FloatArray, ReferenceSamples

_REWARDS_AND_KL = ("eval/gold_reward", "eval/gold_reward_reference", "eval/kl")


class Metrics:
    """A call returns the metrics of an evaluation on `prompts` by name; None for unknown ones.

    Args:
        samples: texts for each prompt.
        stored: samples of the reference, or None; gain and efficiency are computed over the prompts
            that have some.
        subsets: name -> prompts; reward and KL are also reported for each of them.
    """

    def __init__(
        self,
        prompts: Sequence[str],
        samples: int,
        stored: ReferenceSamples | None,
        subsets: Mapping[str, Sequence[str]],
    ) -> None:
        self._prompts, self._samples = len(prompts), samples
        self._optimum = AgainstOptimum(prompts, stored)
        self._subsets = {
            name: torch.tensor([prompt in subset for prompt in prompts])
            for name, subset in subsets.items()
        }

    def __call__(self, evaluation: Evaluation) -> dict[str, float | None]:
        columns = _columns(evaluation)
        by_prompt = self._by_prompt(columns)
        metrics: dict[str, Any] = {name: values.mean().item() for name, values in columns.items()}
        metrics.setdefault("eval/proxy_reward", None)  # without a reward model
        metrics |= self._optimum.metrics(*(by_prompt[name] for name in _REWARDS_AND_KL))
        metrics |= {"eval/prompts": self._prompts, "eval/samples": self._samples}
        for subset, rows in self._subsets.items():
            for name in _REWARDS_AND_KL:  # the mean over no prompts is NaN
                values = columns[name].view(self._prompts, -1)[rows]
                metrics[f"{name}_{subset}"] = values.mean().item()
        return {name: known(value) for name, value in metrics.items()}

    def intervals(self, evaluation: Evaluation) -> dict[str, float | None]:
        """Name + "_ci95" -> half-width of the 95% interval of each of the metrics, by a bootstrap
        over prompts; None for those that are unknown."""
        by_prompt = self._by_prompt(_columns(evaluation))
        draws = bootstrap_rows(self._prompts)
        widths = {name: ci95_of_mean(draws, values) for name, values in by_prompt.items()}
        for subset, mask in self._subsets.items():
            rows = mask.nonzero().squeeze(1).numpy()
            subset_draws = rows[bootstrap_rows(len(rows))] if len(rows) else rows
            for name in _REWARDS_AND_KL:
                widths[f"{name}_{subset}"] = ci95_of_mean(subset_draws, by_prompt[name])
        widths |= self._optimum.half_widths(*(by_prompt[name] for name in _REWARDS_AND_KL))
        return {f"{name}_ci95": known(width) for name, width in widths.items()}

    def _by_prompt(self, columns: Mapping[str, Tensor]) -> dict[str, FloatArray]:
        """The means [P] of the columns over the samples of each prompt."""
        return {
            name: values.double().view(self._prompts, -1).mean(1).numpy()
            for name, values in columns.items()
        }


def _columns(evaluation: Evaluation) -> dict[str, Tensor]:
    """The metrics that are means over texts, with their values [B]."""
    policy, reference = evaluation.policy, evaluation.reference
    columns = {
        "eval/gold_reward": policy.gold,
        "eval/gold_reward_reference": reference.gold,
        "eval/proxy_reward": policy.proxy,
        "eval/kl": evaluation.kl,
        "eval/win_rate": wins(policy.gold, reference.gold),
        "eval/entropy": evaluation.entropy,
        "eval/length": evaluation.length.double(),
        "eval/kl_bound": evaluation.kl_bound,
        **{f"reward/{name}": part for name, part in policy.parts.items()},
    }
    return {name: values for name, values in columns.items() if values is not None}


def known(value: float | None) -> float | None:
    """The value; None for NaN, which stands for an unknown gold reward."""
    return None if value is None or math.isnan(value) else value
