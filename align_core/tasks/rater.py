"""The preference model of the rater: Bradley-Terry."""

from __future__ import annotations

import math


def preference(margin: float) -> float:
    """σ(margin): the probability that a rater prefers the text whose reward, or utility, is higher
    by `margin` nats (arXiv 2305.18290, Eq. 1)."""
    return 0.5 * (1.0 + math.tanh(0.5 * margin))
