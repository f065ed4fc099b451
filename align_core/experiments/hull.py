"""What a method reaches within a KL, of all the points that its runs went through."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def within(points: Iterable[tuple[float, float]], budget: float) -> float:
    """The most reward for a KL of `budget` from policies at these (KL, reward), the first at KL 0.

    Any two of them may be mixed, one or the other answering by chance: the reward of the mixture
    lies on the line between theirs and its KL, which is convex, not beyond it.
    """
    hull: list[tuple[float, float]] = []
    for kl, reward in sorted(points):
        if hull and reward <= hull[-1][1]:
            continue
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-2], (kl, reward)):
            hull.pop()
        if hull and kl == hull[-1][0]:
            hull.pop()
        hull.append((kl, reward))
    return float(np.interp(budget, *zip(*hull, strict=True)))


def _slope(start: tuple[float, float], end: tuple[float, float]) -> float:
    return (end[1] - start[1]) / (end[0] - start[0])
