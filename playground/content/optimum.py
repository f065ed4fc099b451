"""The closed-form optimum of a task: its frontier, and its texts at any β.

It is computed from stored samples of the reference, reweighted (`align_core.optimum`), so no model
is loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from align_core.config import model_index
from align_core.config.task_card import BUILT_IN, card, is_external, known_reference
from align_core.evaluation import prepared
from align_core.evaluation.stored_texts import BETAS, QUANTILE, stored_texts
from align_core.optimum import (
    MIN_EFFECTIVE_SAMPLES,
    Point,
    ReferenceSamples,
    Trade,
    at_quantile,
    by_prompt,
    chi_squared_optimum,
    optimum,
)
from playground.content.tasks import EARLIER, OTHERS, OWN

_LOG = logging.getLogger(__name__)
# `Optimum.point` of an optimum that is not known.
NO_POINT = {"kl": None, "gain": None, "samples": None, "known": False}


@cache
def of_task(task: str) -> Optimum:
    """The optimum of a built-in task for its reference, from the embedded samples, loaded once."""
    model = known_reference(task)
    samples = ReferenceSamples.load(model_index.reference_samples(task, "probe"))
    return Optimum(model, samples, Path(model_index.locate(model)) / prepared.TOKENIZER)


def of_pair(task: Any, model: Any) -> Optimum | None:
    """The optimum of a task for a model, from prepared samples or, if there are none, embedded
    ones.

    None if there are no samples, or too few to know the optimum at any KL. A visitor may send any
    names, so these are only compared with the names of prepared samples: no file that they name is
    read.
    """
    for entry in prepared.named(task, model):
        try:
            changed = (entry.path / prepared.FACTS).stat().st_mtime_ns
        except OSError:  # the cache was cleared meanwhile
            continue
        optimum = _prepared(entry, model, changed)
        if optimum is not None and optimum.frontier["full_gain"] is not None:
            return optimum
    return of_task(task) if task in BUILT_IN and model == known_reference(task) else None


@lru_cache(maxsize=16)
def _prepared(entry: prepared.Entry, model: str, changed: int) -> Optimum | None:
    """The optimum of an entry; None if it cannot be read. `changed` is a part of the cache key."""
    try:
        last_tokens = entry.facts().get("last_tokens")
        return Optimum(model, entry.load("probe"), entry.path / prepared.TOKENIZER, last_tokens)
    # The tokenizers package raises plain exceptions.
    except Exception as error:
        _LOG.warning("%s is skipped: %s", entry.path, error)
        return None


def frontier(query: Any) -> dict[str, Any] | None:
    """`Optimum.frontier` for the model of `query`, {"task", "model"}, or, if its optimum is not
    known, for the task's reference; None if neither optimum is known."""
    optimum = _of_query(query)
    return None if optimum is None else optimum.frontier


def full_gain(config: Mapping[str, Any]) -> float | None:
    """The gain in nats that corresponds to an `eval/gain` of 1; None for a run that started from a
    model whose optimum is not known."""
    optimum = of_pair(config["task"], config["model"])
    return None if optimum is None else optimum.frontier["full_gain"]


def target(query: Any) -> dict[str, Any] | None:
    """The optimum that a run seeks, for `query`, {"task", "model", "beta", "sought"}, from the same
    samples as `frontier`; None if there are none. `sought` is a `Method.optimum`, by default "kl".

    For "kl" it is `Optimum.at`; for any other value, only `beta` and an `Optimum.point`, without
    texts. An invalid β is replaced by the largest β of the slider.
    """
    if (optimum := _of_query(query)) is None:
        return None
    beta = query.get("beta") if isinstance(query, dict) else None
    # The bound is needed because float() fails for a huge integer.
    if not isinstance(beta, int | float) or not 0 <= beta <= 1e9:
        beta = BETAS[1]
    sought = query.get("sought", "kl") if isinstance(query, dict) else "kl"
    if sought == "kl":
        return optimum.at(float(beta))
    known = sought == "chi2" and beta > 0
    return {"beta": beta, **(optimum.chi_squared(float(beta)) if known else NO_POINT)}


def _of_query(query: Any) -> Optimum | None:
    """The optimum for the model of a query or, if that is not known, for the task's reference. An
    unknown task is replaced by the first built-in one."""
    query = query if isinstance(query, dict) else {}
    task, model = query.get("task"), query.get("model")
    if (optimum := of_pair(task, model)) is not None:
        return optimum
    known = card(task)
    if known is None and not is_external(task) and task not in (OWN, EARLIER, OTHERS):
        task, known = BUILT_IN[0], card(BUILT_IN[0])
    return None if known is None else of_pair(task, known.reference)


def warm() -> None:
    """Compute all frontiers in advance, so that no visitor waits for one."""
    for task in BUILT_IN:
        of_task(task).frontier  # noqa: B018 - a cached property


class Optimum:
    """The optimum of one task for one model, on its probe prompts. Gains are in nats above the
    reference.

    Args:
        samples: stored samples of `model`, which is the reference.
        tokenizer: the file of the model's tokenizer.
        last_tokens: the last token of each prompt, after which its completions are decoded; by
            default, completions are decoded alone.

    `reference` is the mean gold reward of the reference, in nats.
    """

    def __init__(
        self,
        model: str,
        samples: ReferenceSamples,
        tokenizer: Path,
        last_tokens: Sequence[int] | None = None,
    ) -> None:
        self._model, self._samples = model, samples
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._last_tokens = last_tokens
        self.reference = float(samples.rewards.mean())

    @cached_property
    def frontier(self) -> dict[str, Any]:
        """The data of the frontier chart: `curve`, `full_gain`, `gain_kl` and `best_of` of
        `Trade`, the name of the `reference`, and the `texts` of the optimum for β → ∞, which is the
        reference."""
        trade = Trade.of(self._samples.rewards)
        return {
            "curve": [[_rounded(kl), _rounded(gain)] for kl, gain in trade.curve],
            "reference": self._model,
            "full_gain": trade.full_gain and _rounded(trade.full_gain),
            "gain_kl": trade.gain_kl and _rounded(trade.gain_kl),
            "best_of": [[n, _rounded(kl), _rounded(gain)] for n, kl, gain in trade.best_of],
            "texts": self._texts(at_quantile(self._samples.rewards, np.inf, QUANTILE)),
        }

    def at(self, beta: float) -> dict[str, Any]:
        """The point of π* at this β, and its text for each prompt at the QUANTILE of gold reward.

        kl, gain:  in nats; None at β = 0, whose texts are the best stored ones
        samples:   the effective sample size; None at β = 0
        known:     whether `samples` is large enough; False at β = 0
        texts:     as `_texts`, with `log_ratio`, log(π*/π_ref) of the whole text in nats, if the
                   effective sample size for its prompt is large enough
        """
        point = NO_POINT if beta == 0 else self.point(beta)
        return {"beta": beta, **point, "texts": self.texts_at(beta, QUANTILE)}

    def texts_at(self, beta: float, quantile: float) -> list[dict[str, Any]]:
        """The `texts` of `at`, at this quantile of gold reward under π*."""
        chosen = at_quantile(self._samples.rewards, beta, quantile)
        texts = self._texts(chosen)
        if beta == 0:
            return texts
        rewards, kls, samples = by_prompt(self._samples.rewards, beta)
        # log(π*/π_ref) = r/β − log Z, where log Z = E_π*[r]/β − KL. With n effective samples of N,
        # the standard error of log Z is √(1/n − 1/N): for n ≥ 100 below 0.1, the last digit shown.
        text_rewards = np.take_along_axis(self._samples.rewards, chosen[:, None], -1)[:, 0]  # [P]
        log_ratios = (text_rewards - rewards) / beta + kls
        for text, log_ratio, count in zip(texts, log_ratios, samples, strict=True):
            if count >= MIN_EFFECTIVE_SAMPLES:
                text["log_ratio"] = _rounded(log_ratio)
        return texts

    def sample(self, number: int) -> list[dict[str, Any]]:
        """For each prompt, the stored sample of the reference with this index, as `_texts`."""
        return self._texts(np.full(len(self._samples.prompts), number))

    def point(self, beta: float) -> dict[str, Any]:
        """`kl`, `gain`, `samples` and `known` of `at`, for a β above 0."""
        return self._above_reference(optimum(self._samples.rewards, beta))

    def chi_squared(self, beta: float) -> dict[str, Any]:
        """As `point`, for the optimum that χPO seeks."""
        return self._above_reference(chi_squared_optimum(self._samples.rewards, beta))

    def _above_reference(self, point: Point) -> dict[str, Any]:
        return {
            "kl": _rounded(point.kl),
            "gain": _rounded(point.reward - self.reference),
            "samples": round(point.effective_samples),
            "known": bool(point.known),
        }

    def _texts(self, chosen: NDArray[np.intp]) -> list[dict[str, Any]]:
        """The `chosen` [P] sample of each prompt: its `prompt`, `text` and `gold_reward`."""
        texts = stored_texts(self._samples, self._tokenizer, self._last_tokens, chosen)
        rewards = self._samples.rewards[np.arange(len(self._samples.prompts)), chosen]
        return [
            {"prompt": prompt, "text": text, "gold_reward": _rounded(reward)}
            for prompt, text, reward in zip(self._samples.prompts, texts, rewards, strict=True)
        ]


def _rounded(value: float) -> float:
    return round(float(value), 4)
