"""What became of a run on votes, in one sentence: rules on its numbers, words in the catalogue.

Rewards and KL are in nats, of the last evaluation on all probe prompts: the few texts that stand
beside it are too few to judge by. How far chance alone moves them: `readings.evaluations`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from playground.content.readings.evaluations import BELOW, HOLDING_BETA, NEAR, RISE

PROMPTS, TEXTS = 64, 4  # probe prompts, and the texts to each, of an evaluation (docs/metrics.md)


def of_policy(
    measured: Mapping[str, float | None],
    beta: float,
    agreement: float | None,
    votes: int,
    whole: float | None = None,
) -> dict[str, Any] | None:
    """The verdict {"key", "values"} on a policy; None where it was not measured.

    Args:
        measured: its last evaluation, metric -> value.
        beta: that held last.
        agreement: how often the raters prefer the text of higher gold reward, in so many `votes`.
        whole: the gain that its "eval/gain" is a share of (`optimum.full_gain`); None: unknown.
    """
    gold, reference, kl = (
        measured.get(name) for name in ("eval/gold_reward", "eval/gold_reward_reference", "eval/kl")
    )
    if None in (gold, reference, kl):
        return None
    share = measured.get("eval/gain")
    gain = gold - reference if None in (whole, share) else share * whole
    values = {"gain": gain, "kl": kl, "beta": beta, "agreement": agreement}
    values |= {"prompts": PROMPTS, "texts": TEXTS}
    return {"key": _of_policy(gain, kl, beta, agreement, votes), "values": values}


def _of_policy(gain: float, kl: float, beta: float, agreement: float | None, votes: int) -> str:
    if gain >= RISE:
        return "rose"
    if gain <= -BELOW:
        side = 0 if agreement is None else beyond_chance(agreement, votes)
        return ("fell", "fell_though", "fell_against")[side]
    if kl >= NEAR:
        return "elsewhere"
    return "held" if beta >= HOLDING_BETA else "unmoved"


def of_reward_model(judged: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The verdict on a reward model, of what `statistics.judged` says; None without such votes."""
    if not judged or not judged["votes"]:
        return None
    accuracy, votes = judged["accuracy"], judged["votes"]
    chance = _chance(votes)
    values = {"accuracy": accuracy, "n": votes}
    values |= {"low": max(0.0, 0.5 - chance), "high": min(1.0, 0.5 + chance)}
    key = ("coin", "foretells", "contrary")[beyond_chance(accuracy, votes)]
    return {"key": key, "values": values}


def beyond_chance(share: float, count: int) -> int:
    """1 where a share of so many is above what a coin gets in 95% of cases, -1 below, else 0."""
    if abs(share - 0.5) <= _chance(count):
        return 0
    return 1 if share > 0.5 else -1


def _chance(count: int) -> float:
    """Half the width of the 95% interval about ½ of a coin that is tossed so often."""
    return 1.96 * 0.5 / math.sqrt(count)
