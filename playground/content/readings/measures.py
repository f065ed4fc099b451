"""What the rules ask of a run: its evaluations, and last_windows of its curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import hypot, sqrt
from statistics import fmean, stdev
from typing import Any, Literal, NamedTuple

import numpy as np

WINDOW = 20  # steps whose mean is taken: one batch of 16 pairs says little
SURE = 3.0  # standard errors of such means; rules are asked at every step, so 2 would cry wolf

Tone = Literal["good", "note", "warning"]
Series = Mapping[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class Reading:
    """One sentence: its key in the catalogue, and the numbers in it (nats, steps, per cent)."""

    key: str
    tone: Tone
    values: Mapping[str, float]


class Point(NamedTuple):
    """One evaluation on the probe prompts; rewards and KL in nats."""

    step: int
    gold: float
    kl: float


class Frontier(NamedTuple):
    """What any policy can gain on its reference, in nats, as the picture of the trade draws it: the
    `whole` gain that `eval/gain` counts the shares of, and its `curve`, (KL, gain) by KL."""

    whole: float
    curve: Sequence[Sequence[float]]

    def at(self, kl: float) -> float:
        """The most for this KL, linear between the points of the curve."""
        return float(np.interp(kl, *zip(*self.curve, strict=True)))


class Target(NamedTuple):
    """Where the optimum of a β stands, in nats: gold reward above the reference's, and KL."""

    gain: float
    kl: float


@dataclass(frozen=True)
class Run:
    """What the rules ask of a run; it has a `target` once it is over, where that is known, and a
    `limit` where it began from the reference of the page. Its β holds `since` this step."""

    config: Mapping[str, Any]
    series: Series
    target: Target | None = None
    limit: Frontier | None = None
    since: int = 0

    @cached_property
    def points(self) -> list[Point]:
        """The evaluations; in the first, at step 0, the policy is its reference."""
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
        """Half of the steps are done: what has not moved by now, the settings hold."""
        return self.last.step >= self.config["steps"] / 2

    def values(self, metric: str) -> list[float]:
        return [value for _, value in self.series.get(metric, ())]

    def last_windows(self, metric: str) -> tuple[list[float], list[float]]:
        """The latest quarter of a curve, at least WINDOW steps, and as many before it."""
        values = self.values(metric)
        width = max(WINDOW, len(values) // 4)
        return values[-2 * width : -width], values[-width:]

    def at(self, metric: str, point: Point) -> float:
        """`metric` at an evaluation; 0 where the run does not have it."""
        return dict(self.series.get(metric, ())).get(point.step, 0.0)

    @property
    def on_frontier_chart(self) -> bool:
        """Whether it has a trail in the picture of the trade."""
        return self.limit is not None and "eval/gain" in self.series

    def gain(self, point: Point) -> float:
        """Gold reward above the reference's, in nats; from `eval/gain` where the run has it."""
        if self.on_frontier_chart:
            return self.at("eval/gain", point) * self.limit.whole
        return point.gold - self.first.gold

    def objective(self, point: Point) -> float:
        """What PPO and DPO maximise, of the gold reward: reward − β·KL."""
        return point.gold - self.config["beta"] * point.kl


Rule = Callable[[Run], Reading | None]


def standard_error(values: list[float]) -> float:
    """Of the mean of a stretch of a curve, from its own scatter."""
    return stdev(values) / sqrt(len(values))


def rise(before: list[float], after: list[float]) -> float:
    """From the mean of one stretch to that of another, in standard errors."""
    error = hypot(standard_error(before), standard_error(after))
    return (fmean(after) - fmean(before)) / error if error else 0.0
