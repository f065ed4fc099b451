"""Curves of reward over KL: the best reward within a KL budget, and fits of arXiv 2210.10760."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from align_core.experiments.statistics import mean

# f in R = d(α − β·f(d)): `identity` for best-of-n, `np.log` for RL.
Bend = Callable[[NDArray], NDArray]
Curve = Sequence[Sequence[float]]  # points (d, gold, proxy) along a run, with d = √KL
EXPLAINED = 0.9  # a fit that explains a smaller share of the variance is not shown


def reward_within(points: Iterable[tuple[float, float]], budget: float) -> float:
    """The highest reward at a KL of `budget` from mixtures of policies at these (KL, reward).

    One point has KL 0. A mixture of two policies has the reward on the line between them, and a KL
    of at most the value on that line, because KL is convex.
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
    kls, rewards = zip(*hull, strict=True)
    return float(np.interp(budget, kls, rewards))


def _slope(start: tuple[float, float], end: tuple[float, float]) -> float:
    return (end[1] - start[1]) / (end[0] - start[0])


def identity(d: NDArray) -> NDArray:
    """f(d) = d."""
    return d


def fit(points: Sequence[Sequence[float]], bend: Bend) -> dict[str, float] | None:
    """The least-squares α and β of R = d(α − β·bend(d)) on points (d, R), the root mean square
    `error` in nats, and `r2`, the share of the variance of R that the fit explains. None for fewer
    than three points with d > 0."""
    d, reward = np.array([point[:2] for point in points if point[0] > 0]).reshape(-1, 2).T
    if len(d) < 3:
        return None
    columns = np.stack([d, -d * bend(d)], axis=1)
    (alpha, beta), *_ = np.linalg.lstsq(columns, reward, rcond=None)
    error = ((reward - columns @ (alpha, beta)) ** 2).mean()
    return {
        "alpha": float(alpha),
        "beta": float(beta),
        "error": float(np.sqrt(error)),
        "r2": float(1 - error / reward.var()),
    }


def mean_fit(curves: Sequence[Curve], bend: Bend) -> dict[str, Any] | None:
    """The means of the fits over seeds, one curve for each; None if no curve has a fit.

    `holds` says whether this form describes the curves: the fit explains at least EXPLAINED of the
    variance, and does not fall before the end of the curves if most of these rise until their end.
    """
    fits = [row for points in curves if (row := fit(points, bend)) is not None]
    if not fits:
        return None
    means: dict[str, Any] = {name: mean([row[name] for row in fits]) for name in fits[0]}
    end = max(map(furthest, curves))
    turns = max(points_of(means, bend, end), key=_reward)[0] < end
    rise = [max(points, key=_reward) == points[-1] for points in curves]
    explained = means["r2"]["mean"] >= EXPLAINED
    return {**means, "holds": explained and not (turns and 2 * sum(rise) > len(rise))}


def _reward(point: Sequence[float]) -> float:
    return point[1]


def gold_at(points: Curve, d: float) -> float:
    """The gold reward where a run first reaches the √KL `d`, by linear interpolation.

    Raises:
        ValueError: the run never reaches it.
    """
    for (before, low, *_), (after, high, *_) in pairwise(points):
        if before < d <= after:
            return low + (high - low) * (d - before) / (after - before)
    raise ValueError(f"expected a √KL of more than 0, at most {furthest(points):.2f}, got {d:.2f}")


def lost_from(points: Curve, share: float) -> float | None:
    """√KL at the first point after the peak of gold that has lost more than this share of the peak;
    None if there is no such point."""
    peak = max(range(len(points)), key=lambda index: points[index][1])
    for d, gold, *_ in points[peak:]:
        if points[peak][1] - gold > share * points[peak][1]:
            return d
    return None


def furthest(points: Curve) -> float:
    """The largest √KL of a run."""
    return max(point[0] for point in points)


def points_of(fits: dict[str, Any], bend: Bend, furthest: float) -> list[list[float]]:
    """Points [d, R] of a `mean_fit`, from 0 to `furthest`.

    As R is linear in α and β, this is the mean of the curves of the seeds.
    """
    alpha, beta = (fits[name]["mean"] for name in ("alpha", "beta"))
    d = np.linspace(0, furthest, 60)[1:]
    return [[0.0, 0.0], *np.stack([d, d * (alpha - beta * bend(d))], axis=1).tolist()]
