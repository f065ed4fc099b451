"""What the optimum says before anything is trained: its frontier, and its texts at any β.

All of it comes from the stored reference samples of a task, reweighted (`align_core.optimum`): no
model is at work.
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
from align_core.config.task_card import BUILT_IN, card, is_code
from align_core.optimum import (
    MIN_EFFECTIVE_SAMPLES,
    Point,
    ReferenceSamples,
    Trade,
    at_quantile,
    by_prompt,
    optimum,
)

BETAS = (0.05, 20.0)  # of the slider; any other may be typed
LUCK = 0.25  # the quantile of the texts shown: a quarter of what is written there is no better


@cache
def of_task(task: str) -> Target:
    """The target of a built-in task, read once."""
    return Target(task)


def frontier(task: Any) -> dict[str, Any] | None:
    """`Target.frontier` of a task; None for one of code, of which no samples are stored."""
    return None if is_code(task) else _known(task).frontier


def full_gain(config: Mapping[str, Any]) -> float | None:
    """The gain in nats that `eval/gain` of a run counts the shares of; None where the run began
    from another reference than that of its task."""
    task = config["task"]
    its_own = task in BUILT_IN and config["model"] == card(task).reference
    return of_task(task).frontier["whole"] if its_own else None


def target(asked: dict[str, Any]) -> dict[str, Any] | None:
    """`Target.at` of `asked`, {"task", "beta"}; a β that makes no sense is the slider's largest.
    None for a task of code."""
    if is_code(asked.get("task")):
        return None
    beta = asked.get("beta")
    usable = isinstance(beta, int | float) and math.isfinite(beta) and beta >= 0
    return _known(asked.get("task")).at(float(beta) if usable else BETAS[1])


def warm() -> None:
    """Read and reckon everything ahead, so that no visitor waits for it."""
    for task in BUILT_IN:
        of_task(task).frontier  # noqa: B018 - it is kept


class Target:
    """The optimum of one task on its probe prompts, in nats above the reference."""

    def __init__(self, task: str) -> None:
        self._samples = ReferenceSamples.load(model_index.reference_samples(task, "probe"))
        self._model = card(task).reference
        folder = Path(model_index.locate(self._model))
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._reference = float(self._samples.rewards.mean())

    @cached_property
    def frontier(self) -> dict[str, Any]:
        """What the picture draws: `curve`, `whole` and `best_of` of `Trade`, the `reference` that
        they are of, and its `texts`."""
        trade = Trade.of(self._samples.rewards)
        return {
            "curve": [[_short(kl), _short(gain)] for kl, gain in trade.curve],
            "reference": self._model,
            "whole": _short(trade.whole),
            "best_of": [[n, _short(kl), _short(gain)] for n, kl, gain in trade.best_of],
            "texts": self._texts(at_quantile(self._samples.rewards, np.inf, LUCK)),
        }

    def at(self, beta: float) -> dict[str, Any]:
        """Where π* stands at this β, and what it says to each prompt with the same, modest luck.

        At β = 0 there is no such place: `kl` and `gain` are None, and the texts are the best ones.
        `known` is False where too few stored samples carry the weight. A text has its `log_ratio`,
        log(π*/π_ref) of it as a whole in nats, where enough samples to its prompt do.
        """
        chosen = at_quantile(self._samples.rewards, beta, LUCK)
        texts = self._texts(chosen)
        if beta == 0:
            return {"beta": beta, "kl": None, "gain": None, "known": False, "texts": texts}
        rewards, kls, samples = by_prompt(self._samples.rewards, beta)
        # r/β − log Z, and log Z = E_π*[r]/β − KL. With n effective samples of N, the standard
        # error of log Z is √(1/n − 1/N): below 0.1, the last digit shown, from n = 100 on.
        earned = np.take_along_axis(self._samples.rewards, chosen[:, None], -1)[:, 0]
        log_ratios = (earned - rewards) / beta + kls
        for text, log_ratio, count in zip(texts, log_ratios, samples, strict=True):
            if count >= MIN_EFFECTIVE_SAMPLES:
                text["log_ratio"] = _short(log_ratio)
        place = Point(beta, rewards.mean(), kls.mean(), samples.mean())
        return {"beta": beta, **self._place(place), "texts": texts}

    def place(self, beta: float) -> dict[str, Any]:
        """`kl`, `gain` and `known` of `at`, for a β above 0."""
        return self._place(optimum(self._samples.rewards, beta))

    def _place(self, point: Point) -> dict[str, Any]:
        return {
            "kl": _short(point.kl),
            "gain": _short(point.reward - self._reference),
            "known": bool(point.known),
        }

    def _texts(self, chosen: NDArray[np.intp]) -> list[dict[str, Any]]:
        """The chosen [P] sample of each prompt."""
        rows = np.arange(len(self._samples.prompts))
        tokens = self._samples.tokens[rows, chosen]
        lengths = self._samples.lengths[rows, chosen]
        return [
            {
                "prompt": prompt,
                "text": self._tokenizer.decode(ids[:length].tolist()),
                "gold_reward": _short(reward),
            }
            for prompt, ids, length, reward in zip(
                self._samples.prompts,
                tokens,
                lengths,
                self._samples.rewards[rows, chosen],
                strict=True,
            )
        ]


def _known(task: Any) -> Target:
    """That of a task; of the first, where a visitor names none that there is."""
    return of_task(task if task in BUILT_IN else BUILT_IN[0])


def _short(value: float) -> float:
    return round(float(value), 4)
