"""The data of an embedded page: the charts of a run, its texts, and the optimum of its task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from align_core.config.methods import methods, sought_optimum
from align_core.config.task_card import NAMES, card
from align_core.evaluation import prepared
from align_core.evaluation.stored_texts import BETAS, QUANTILE, stored_texts
from align_core.optimum import Trade, at_quantile, chi_squared_optimum
from align_core.runs import events as log
from align_core.runs.commands import last_part

STOPS = 61  # positions of the slider of β
MAX_PROMPTS = 64  # whose texts are shown
_GAIN = "eval/gain"
_REFERENCE = "eval/gold_reward_reference"
_PART = "reward/"  # begins the metrics of the terms of a gold reward that is a sum


def page_data(name: str, config: Mapping[str, Any], events: list[log.Event]) -> dict[str, Any]:
    """All that the page shows of a run, as JSON values, with paths cut to their last part.

    charts:   the charts of its method
    parts:    the metrics of the terms of its gold reward, if that is a sum
    points:   metric -> [[step, value], …]
    samples:  [{"step", "rows": [{"prompt", "reference", "policy"}, …]}, …]
    changes:  [{"step", "settings"}, …]
    optimum:  as `_optimum` returns it; None if the method has no β
    """
    method = methods()[config["method"]]
    series = log.series(events)
    drawn = {curve.metric for chart in method.charts for curve in chart.curves}
    parts = sorted(metric for metric in series if metric.startswith(_PART))
    shown = ("method", "beta", "steps", "seed")
    return {
        "name": name,
        "config": {"task": _title(config["task"])} | {name: config.get(name) for name in shown},
        "charts": [asdict(chart) for chart in method.charts],
        "parts": parts,
        "points": {
            metric: series[metric]
            for metric in (*sorted(drawn), _GAIN, _REFERENCE, *parts)
            if metric in series
        },
        "samples": [
            {"step": event["step"], "rows": [_row(row) for row in event["samples"][:MAX_PROMPTS]]}
            for event in log.of_kind(events, "samples")
        ],
        "changes": [
            {"step": event["step"], "settings": event["settings"]}
            for event in log.of_kind(events, "change")
        ],
        "optimum": _optimum(config) if "beta" in method.options else None,
    }


def _title(task: str) -> str:
    """The name of a task of this package, which the page translates; the title of any other."""
    known = card(task)
    return task if task in NAMES else known.title if known else last_part(task)


def _row(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A probe prompt with its two texts, without their tokens."""
    return {
        "prompt": sample["prompt"],
        **{
            side: {key: value for key, value in sample[side].items() if key != "tokens"}
            for side in ("reference", "policy")
        },
    }


def _optimum(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The stored samples of the reference, from which the page computes π* at every β.

    sought:   the optimum that the method seeks, `Method.optimum`
    points:   for χPO, its optimum at each of the betas: {"kl", "gain", "known"}; otherwise None
    betas:    the values of the slider, the run's own β among them
    quantile: the quantile of the reward, under π*, of the text that is shown for a prompt
    rewards:  for each prompt, its different rewards in ascending order, in nats, and their counts
    texts:    prompt -> [[reward, text], …] of the texts that are shown at one of the betas
    curve, best_of, full_gain: as in `Trade`
    starts_there: whether the run started from the model that wrote the samples; only then does the
              page draw its trail

    None if no samples are stored, or too few to know the optimum at any KL.
    """
    known = card(config["task"])
    models = [config["model"], *([known.reference] if known and known.reference else [])]
    candidates = ((model, prepared.stored(config["task"], model, "probe")) for model in models)
    model, stored = next((pair for pair in candidates if pair[1] is not None), (None, None))
    if stored is None:
        return None
    rewards = stored.samples.rewards.round(3)
    trade = Trade.of(rewards)
    if trade.full_gain is None:
        return None
    betas = sorted(
        {*np.geomspace(*BETAS, STOPS).round(3).tolist(), *filter(None, [config["beta"]])}
    )
    chosen = np.array([at_quantile(rewards, beta, QUANTILE) for beta in betas])  # [β, P]
    distinct = [np.unique(row, return_counts=True) for row in rewards]
    sought = sought_optimum(config)
    return {
        "sought": sought,
        "points": _chi_squared_points(rewards, betas) if sought == "chi2" else None,
        "betas": betas,
        "quantile": QUANTILE,
        "rewards": [[values.tolist(), counts.tolist()] for values, counts in distinct],
        "texts": _texts(stored, rewards, chosen),
        "curve": np.array(trade.curve).round(4).tolist(),
        "best_of": np.array(trade.best_of).round(4).tolist(),
        "full_gain": trade.full_gain,
        "starts_there": model == config["model"],
    }


def _chi_squared_points(
    rewards: NDArray[np.float64], betas: list[float]
) -> list[dict[str, float | bool]]:
    points = [chi_squared_optimum(rewards, beta) for beta in betas]
    reference = float(rewards.mean())
    return [
        {"kl": round(p.kl, 4), "gain": round(p.reward - reference, 4), "known": bool(p.known)}
        for p in points
    ]


def _texts(
    stored: prepared.Stored, rewards: NDArray[np.float64], chosen: NDArray[np.intp]
) -> dict[str, list[tuple[float, str]]]:
    """prompt -> [(reward, text), …] in ascending order, of the samples with the indices `chosen`
    [B, P]: B values of β, P prompts. Of samples with the same reward only one text is kept."""
    samples, rows = stored.samples, np.arange(len(rewards))
    tokenizer = Tokenizer.from_file(str(stored.tokenizer))
    texts: dict[str, dict[float, str]] = {prompt: {} for prompt in samples.prompts}
    for indices in np.unique(chosen, axis=0):
        decoded = stored_texts(samples, tokenizer, stored.last_tokens, indices)
        for prompt, reward, text in zip(texts, rewards[rows, indices], decoded, strict=True):
            texts[prompt].setdefault(float(reward), text)
    return {prompt: sorted(by_reward.items()) for prompt, by_reward in texts.items()}
