"""Reward over KL: what is reached within a KL, and the laws by which gold rises and falls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from align_core.experiments.statistics import mean

Bend = Callable[[NDArray], NDArray]


def reward_within(points: Iterable[tuple[float, float]], budget: float) -> float:
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


def identity(d: NDArray) -> NDArray:
    """The bend of best-of-n: R = d(α − βd)."""
    return d


def log(d: NDArray) -> NDArray:
    """The bend of RL: R = d(α − β log d)."""
    return np.log(d)


def fit(points: Sequence[Sequence[float]], bend: Bend) -> dict[str, float] | None:
    """α and β of R = d(α − β·bend(d)) by least squares, in which they are linear, on points
    (d, R); and the root of the mean squared error, in nats. None for fewer than three points."""
    d, reward = np.array([point[:2] for point in points if point[0] > 0]).reshape(-1, 2).T
    if len(d) < 3:
        return None
    columns = np.stack([d, -d * bend(d)], axis=1)
    (alpha, beta), *_ = np.linalg.lstsq(columns, reward, rcond=None)
    error = reward - columns @ (alpha, beta)
    return {"alpha": float(alpha), "beta": float(beta), "error": float(np.sqrt((error**2).mean()))}


def mean_fit(curves: Sequence[Sequence[Sequence[float]]], bend: Bend) -> dict[str, Any] | None:
    """The means of the fits of one curve a seed; None where no curve has one."""
    fits = [found for points in curves if (found := fit(points, bend)) is not None]
    if not fits:
        return None
    return {name: mean([one[name] for one in fits]) for name in fits[0]}


def points_of(fits: dict[str, Any], bend: Bend, furthest: float) -> list[list[float]]:
    """[d, R] along a `mean_fit`, from 0 to `furthest`.

    R is linear in α and β: the curve of their means is the mean of the seeds' curves.
    """
    alpha, beta = (fits[name]["mean"] for name in ("alpha", "beta"))
    d = np.linspace(0, furthest, 60)[1:]
    return [[0.0, 0.0], *np.stack([d, d * (alpha - beta * bend(d))], axis=1).tolist()]
