"""The rater of preferences, by Bradley and Terry."""

from __future__ import annotations

import math


def preference(margin: float) -> float:
    """σ(margin): the share of raters who prefer the one of two texts whose reward, or utility, is
    higher by this many nats (arXiv 2305.18290, Eq. 1)."""
    return 0.5 * (1.0 + math.tanh(0.5 * margin))
