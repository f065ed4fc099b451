"""The next pair for a rater: active selection, mixed with uniform draws.

A reward model that scores a pair d nats apart expects a share σ(d) of the votes for the better
text. A vote then has Fisher information σ(d)(1 − σ(d)) about d, which is largest at d = 0: the
reward model learns most from the pairs about which it is least certain.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Mapping

# Active draws come from this share of the candidates: at |d| < 0.25 a vote has 98% of the maximal
# information, and many raters at once, or many draws in a row, do not all get the same few pairs.
LEAST_SURE = 0.1


def information(margin: float) -> float:
    """Fisher information σ(d)(1 − σ(d)) of a vote at a margin of d nats; at most 1/4, at d = 0."""
    return 0.25 / math.cosh(margin / 2) ** 2


def draw(margins: Mapping[int, float | None], active_share: float, rng: random.Random) -> int:
    """The key of one of the candidate pairs in `margins`.

    The values are score differences of the reward model in nats, None for unscored pairs. With
    probability `active_share` the pair is drawn from the `LEAST_SURE` tenth of the scored ones,
    otherwise from all. Raises IndexError without candidates.
    """
    scored = {key: abs(margin) for key, margin in margins.items() if margin is not None}
    if scored and rng.random() < active_share:
        few = math.ceil(LEAST_SURE * len(scored))
        return rng.choice(heapq.nsmallest(few, scored, key=scored.__getitem__))
    return rng.choice(list(margins))
