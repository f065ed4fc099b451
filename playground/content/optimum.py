"""The closed-form optimum of a task: its frontier, and its texts at any β.

It is computed from stored samples of the reference, reweighted (`align_core.optimum`), so no model
is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from align_core.config import model_index
from align_core.config.task_card import BUILT_IN, card, is_external, known_card
from align_core.optimum import (
    MIN_EFFECTIVE_SAMPLES,
    Point,
    ReferenceSamples,
    Trade,
    at_quantile,
    by_prompt,
    optimum,
)

BETAS = (0.05, 20.0)  # the range of the slider; any other β may be typed
QUANTILE = 0.25  # of the texts shown: a quarter of the optimum's texts are no better


@cache
def of_task(task: str) -> Optimum:
    """The optimum of a built-in task, loaded once."""
    return Optimum(task)


def frontier(task: Any) -> dict[str, Any] | None:
    """`Optimum.frontier` of a task; None for one that is not built in: no samples are stored."""
    return _of_task_or_first(task).frontier if _may_have_samples(task) else None


def full_gain(config: Mapping[str, Any]) -> float | None:
    """The gain in nats that corresponds to an `eval/gain` of 1; None for a run that did not start
    from the reference of a built-in task."""
    task = config["task"]
    has_frontier = task in BUILT_IN and config["model"] == known_card(task).reference
    return of_task(task).frontier["whole"] if has_frontier else None


def target(query: dict[str, Any]) -> dict[str, Any] | None:
    """`Optimum.at` of `query`, {"task", "beta"}; an invalid β counts as the slider's largest. None
    for a task that is not built in."""
    if not _may_have_samples(query.get("task")):
        return None
    beta = query.get("beta")
    valid = isinstance(beta, int | float) and math.isfinite(beta) and beta >= 0
    return _of_task_or_first(query.get("task")).at(float(beta) if valid else BETAS[1])


def warm() -> None:
    """Compute all frontiers ahead, so that no visitor waits for one."""
    for task in BUILT_IN:
        of_task(task).frontier  # noqa: B018 - a cached property


class Optimum:
    """The optimum of one task on its probe prompts. Gains are in nats above the reference."""

    def __init__(self, task: str) -> None:
        self._samples = ReferenceSamples.load(model_index.reference_samples(task, "probe"))
        self._model = known_card(task).reference
        folder = Path(model_index.locate(self._model))
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._reference = float(self._samples.rewards.mean())

    @cached_property
    def frontier(self) -> dict[str, Any]:
        """The data of the frontier chart: `curve`, `whole` and `best_of` of `Trade`, the name of
        the `reference`, and the `texts` of the optimum for β → ∞, which is the reference."""
        trade = Trade.of(self._samples.rewards)
        return {
            "curve": [[_rounded(kl), _rounded(gain)] for kl, gain in trade.curve],
            "reference": self._model,
            "whole": _rounded(trade.full_gain),
            "best_of": [[n, _rounded(kl), _rounded(gain)] for n, kl, gain in trade.best_of],
            "texts": self._texts(at_quantile(self._samples.rewards, np.inf, QUANTILE)),
        }

    def at(self, beta: float) -> dict[str, Any]:
        """The point of π* at this β, and its text for each prompt at the QUANTILE of gold reward.

        kl, gain:  in nats; None at β = 0, whose texts are the best stored ones
        known:     False if the effective sample size is too small
        texts:     as `_texts`, with `log_ratio`, log(π*/π_ref) of the whole text in nats, where the
                   effective sample size for its prompt is large enough
        """
        chosen = at_quantile(self._samples.rewards, beta, QUANTILE)
        texts = self._texts(chosen)
        if beta == 0:
            return {"beta": beta, "kl": None, "gain": None, "known": False, "texts": texts}
        rewards, kls, samples = by_prompt(self._samples.rewards, beta)
        # r/β − log Z, and log Z = E_π*[r]/β − KL. With n effective samples of N, the standard
        # error of log Z is √(1/n − 1/N): below 0.1, the last digit shown, from n = 100 on.
        text_rewards = np.take_along_axis(self._samples.rewards, chosen[:, None], -1)[:, 0]  # [P]
        log_ratios = (text_rewards - rewards) / beta + kls
        for text, log_ratio, count in zip(texts, log_ratios, samples, strict=True):
            if count >= MIN_EFFECTIVE_SAMPLES:
                text["log_ratio"] = _rounded(log_ratio)
        point = Point(beta, rewards.mean(), kls.mean(), samples.mean())
        return {"beta": beta, **self._above_reference(point), "texts": texts}

    def point(self, beta: float) -> dict[str, Any]:
        """`kl`, `gain` and `known` of `at`, for a β above 0."""
        return self._above_reference(optimum(self._samples.rewards, beta))

    def _above_reference(self, point: Point) -> dict[str, Any]:
        return {
            "kl": _rounded(point.kl),
            "gain": _rounded(point.reward - self._reference),
            "known": bool(point.known),
        }

    def _texts(self, chosen: NDArray[np.intp]) -> list[dict[str, Any]]:
        """The `chosen` [P] sample of each prompt: its `prompt`, `text` and `gold_reward`."""
        rows = np.arange(len(self._samples.prompts))
        tokens = self._samples.tokens[rows, chosen]
        lengths = self._samples.lengths[rows, chosen]
        return [
            {
                "prompt": prompt,
                "text": self._tokenizer.decode(ids[:length].tolist()),
                "gold_reward": _rounded(reward),
            }
            for prompt, ids, length, reward in zip(
                self._samples.prompts,
                tokens,
                lengths,
                self._samples.rewards[rows, chosen],
                strict=True,
            )
        ]


def _may_have_samples(task: Any) -> bool:
    """Whether `task` is built in, or no task at all."""
    return task in BUILT_IN or not (card(task) or is_external(task))


def _of_task_or_first(task: Any) -> Optimum:
    """The optimum of a task; of the first built-in one if `task` is not built in."""
    return of_task(task if task in BUILT_IN else BUILT_IN[0])


def _rounded(value: float) -> float:
    return round(float(value), 4)
