"""One-sentence verdicts on runs that were trained on votes: rules on a run's numbers.

The sentences are in the catalogue. Rewards and KL are in nats, from the last evaluation on all
probe prompts, because a verdict on the few texts of the page would be noise. The thresholds are
those of `readings.evaluations`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from playground.content.readings.evaluations import BELOW, HOLDING_BETA, NEAR, RISE

PROMPTS, TEXTS = 64, 4  # probe prompts of an evaluation, and texts for each (docs/metrics.md)


def policy_verdict(
    metrics: Mapping[str, float | None],
    beta: float,
    agreement: float | None,
    votes: int,
    full_gain: float | None = None,
) -> dict[str, Any] | None:
    """The verdict {"key", "values"} on a policy; None if it was not evaluated.

    Args:
        metrics: its last evaluation, metric -> value.
        beta: the last value of β.
        agreement: the share of the `votes` that prefer the text of higher gold reward.
        votes: the number of votes that prefer a text.
        full_gain: the gain at an `eval/gain` of 1 (`optimum.full_gain`), if known.
    """
    names = ("eval/gold_reward", "eval/gold_reward_reference", "eval/kl")
    gold, reference, kl = (metrics.get(name) for name in names)
    if gold is None or reference is None or kl is None:
        return None
    share = metrics.get("eval/gain")
    gain = gold - reference if full_gain is None or share is None else share * full_gain
    values = {"gain": gain, "kl": kl, "beta": beta, "agreement": agreement}
    values |= {"prompts": PROMPTS, "texts": TEXTS}
    return {"key": _policy_key(gain, kl, beta, agreement, votes), "values": values}


def _policy_key(gain: float, kl: float, beta: float, agreement: float | None, votes: int) -> str:
    if gain >= RISE:
        return "rose"
    if gain <= -BELOW:
        side = 0 if agreement is None else beyond_chance(agreement, votes)
        return ("fell", "fell_though", "fell_against")[side]
    if kl >= NEAR:
        return "elsewhere"
    return "held" if beta >= HOLDING_BETA else "unmoved"


def reward_model_verdict(metrics: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The verdict on a reward model (`statistics.reward_model_metrics`); None if it has no held-out
    votes."""
    if not metrics or not metrics["votes"]:
        return None
    accuracy, votes = metrics["accuracy"], metrics["votes"]
    half = _half_interval(votes)
    values = {"accuracy": accuracy, "n": votes}
    values |= {"low": max(0.0, 0.5 - half), "high": min(1.0, 0.5 + half)}
    key = ("coin", "foretells", "contrary")[beyond_chance(accuracy, votes)]
    return {"key": key, "values": values}


def beyond_chance(share: float, count: int) -> int:
    """1 if `share` of `count` is above the 95% interval of a fair coin, -1 if below, else 0."""
    if abs(share - 0.5) <= _half_interval(count):
        return 0
    return 1 if share > 0.5 else -1


def _half_interval(count: int) -> float:
    """Half the width of the 95% interval, around ½, of the share of heads in `count` tosses of a
    fair coin."""
    return 1.96 * 0.5 / math.sqrt(count)
