"""Which pair a person should be shown next: where a vote teaches most, mixed with chance.

A reward model that scores a pair d nats apart expects σ(d) of the votes for the better text. A
vote then brings the Fisher information σ(d)(1 − σ(d)) about d, which is largest at d = 0: the
reward model learns most where it is least sure.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Mapping

# Active draws come from this share of the candidates: at |d| < 0.25 a vote brings 98% of what it
# can at 0, and many raters at once, or many draws in a row, are not all given the same few pairs.
LEAST_SURE = 0.1


def information(margin: float) -> float:
    """σ(d)(1 − σ(d)) for a margin of d nats: at most 1/4, at d = 0."""
    return 0.25 / math.cosh(margin / 2) ** 2


def draw(margins: Mapping[int, float | None], active_share: float, rng: random.Random) -> int:
    """One of the candidates, named by its key.

    `margins` are the reward model's differences in nats, None where it has not scored the pair.
    With probability `active_share` the pair comes from the `LEAST_SURE` tenth of those that are
    scored, else from all. Raises IndexError where there are none.
    """
    scored = [key for key, margin in margins.items() if margin is not None]
    if scored and rng.random() < active_share:
        few = math.ceil(LEAST_SURE * len(scored))
        return rng.choice(heapq.nsmallest(few, scored, key=lambda key: abs(margins[key])))
    return rng.choice(list(margins))
