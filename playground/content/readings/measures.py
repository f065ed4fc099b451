"""What the rules of `readings` know of a run: its evaluations, and windows of its curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import hypot, sqrt
from statistics import fmean, stdev
from typing import Any, Literal, NamedTuple

import numpy as np

WINDOW = 20  # steps to average over; a single batch of 16 pairs is too noisy
SURE = 3.0  # standard errors; rules are tried at every step, so 2 would give false alarms

Tone = Literal["good", "note", "warning"]
Series = Mapping[str, list[tuple[int, float]]]  # metric -> [(step, value), …]


@dataclass(frozen=True)
class Reading:
    """One sentence: its key in the catalogue, and the numbers in it (nats, steps, percentages)."""

    key: str
    tone: Tone
    values: Mapping[str, float]


class Point(NamedTuple):
    """One evaluation on the probe prompts; rewards and KL in nats."""

    step: int
    gold: float
    kl: float


class Frontier(NamedTuple):
    """The gold reward that an optimal policy gains over the reference, in nats.

    `full_gain` is the gain at an `eval/gain` of 1, and `curve` the (KL, gain) pairs of the frontier
    chart, by ascending KL.
    """

    full_gain: float
    curve: Sequence[Sequence[float]]

    def at(self, kl: float) -> float:
        """The largest gain at this KL, interpolated linearly between the points of the curve."""
        kls, gains = zip(*self.curve, strict=True)
        return float(np.interp(kl, kls, gains))


class Target(NamedTuple):
    """The optimum at one β: its gain in gold reward over the reference, and its KL, in nats."""

    gain: float
    kl: float


@dataclass(frozen=True)
class Run:
    """A run: its configuration with the current β, its metrics without nulls, and its status.

    `target` is the optimum at the current β, which was set at step `beta_since`. `frontier` belongs
    to the model from which the run started. Both are None if they are not known.
    """

    config: Mapping[str, Any]
    series: Series
    status: str = "starting"
    target: Target | None = None
    frontier: Frontier | None = None
    beta_since: int = 0

    @property
    def ended(self) -> bool:
        return self.status in ("finished", "stopped")

    @cached_property
    def points(self) -> list[Point]:
        """The evaluations in order. At the first, step 0, the policy equals its reference."""
        kl = dict(self.series.get("eval/kl", ()))
        gold = self.series.get("eval/gold_reward", ())
        return [Point(step, value, kl[step]) for step, value in gold if step in kl]

    @property
    def first(self) -> Point:
        return self.points[0]

    @property
    def last(self) -> Point:
        return self.points[-1]

    @cached_property
    def best(self) -> Point:
        """The evaluation with the highest gold reward."""
        return max(self.points, key=lambda point: point.gold)

    @property
    def past_halfway(self) -> bool:
        """Whether half of the steps are done, after which a run hardly changes its course."""
        return self.last.step >= self.config["steps"] / 2

    def values(self, metric: str) -> list[float]:
        return [value for _, value in self.series.get(metric, ())]

    def last_windows(self, metric: str) -> tuple[list[float], list[float]]:
        """Two windows of a curve, in order. The second is its last quarter, at least WINDOW steps;
        the first is the same number of steps just before that."""
        values = self.values(metric)
        width = max(WINDOW, len(values) // 4)
        return values[-2 * width : -width], values[-width:]

    def at(self, metric: str, point: Point) -> float:
        """`metric` at an evaluation; 0 if the run does not have it."""
        return dict(self.series.get(metric, ())).get(point.step, 0.0)

    @property
    def drawn_frontier(self) -> Frontier | None:
        """The frontier, if the frontier chart shows the run beside it; otherwise None."""
        return self.frontier if "eval/gain" in self.series else None

    def gain(self, point: Point) -> float:
        """Gold reward above the reference's, in nats; the same number as on the frontier chart."""
        if self.drawn_frontier is not None:
            return self.at("eval/gain", point) * self.drawn_frontier.full_gain
        return point.gold - self.first.gold

    def objective(self, point: Point) -> float:
        """The objective of PPO and DPO on the gold reward, in nats: reward − β·KL."""
        return point.gold - self.config["beta"] * point.kl


Rule = Callable[[Run], Reading | None]


def standard_error(values: list[float]) -> float:
    """The standard error of the mean of `values`."""
    return stdev(values) / sqrt(len(values))


def rise(before: list[float], after: list[float]) -> float:
    """The difference of two means, after − before, in standard errors; 0 if that error is 0."""
    error = hypot(standard_error(before), standard_error(after))
    return (fmean(after) - fmean(before)) / error if error else 0.0
