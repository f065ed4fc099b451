"""What a preset promises of its run, as rules on the numbers that the run measured of itself.

A rule finds those numbers that the promise is about and holds each against its bound. Series are
metric -> (step, value), in order and without nulls. Gain is `eval/gain`, the share of what the
optimum gains for 2 nats; what was lost is the share of the best gain that the end no longer has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean
from typing import Any

WIDTH = 10  # steps; one batch of pairs says little about a margin

Series = Mapping[str, Sequence[tuple[int, float]]]


@dataclass(frozen=True)
class Finding:
    """One number of a promise and the bounds it must keep; None where it was not measured."""

    name: str
    value: float | None
    least: float = -inf
    most: float = inf

    @property
    def holds(self) -> bool:
        return self.value is not None and self.least <= self.value <= self.most

    def __str__(self) -> str:
        value = "not measured" if self.value is None else f"{self.value:.2f}"
        bounds = [f"at least {self.least:g}"] * (self.least > -inf)
        bounds += [f"at most {self.most:g}"] * (self.most < inf)
        return f"{self.name} {value} ({', '.join(bounds)}){'' if self.holds else ' ✗'}"


def findings(promise: Mapping[str, Any], series: Series) -> list[Finding]:
    """What a run says of a promise, {"rule": name, …its thresholds}: it is kept if all hold."""
    thresholds = {name: value for name, value in promise.items() if name != "rule"}
    return RULES[promise["rule"]](series, **thresholds)


def aligns(series: Series, gain: float, efficiency: float) -> list[Finding]:
    """It ends with much of what the optimum gains, and little of the KL was wasted."""
    return [
        Finding("gain", _last(series, "eval/gain"), least=gain),
        Finding("efficiency", _last(series, "eval/frontier_efficiency"), least=efficiency),
    ]


def stays(series: Series, kl: float, gain: float) -> list[Finding]:
    """It never leaves the reference's side, and so gains little."""
    furthest = max((value for _, value in series.get("eval/kl", [])), default=None)
    return [
        Finding("largest KL", furthest, most=kl),
        Finding("gain", _last(series, "eval/gain"), most=gain),
    ]


def wastes(series: Series, gain: float, efficiency: float) -> list[Finding]:
    """It gains, but pays for it with KL that brings nothing."""
    return [
        Finding("gain", _last(series, "eval/gain"), least=gain),
        Finding("efficiency", _last(series, "eval/frontier_efficiency"), most=efficiency),
    ]


def over_optimises(series: Series, gain: float, lost: float, rise: float) -> list[Finding]:
    """The gold reward first gains and then loses, while the proxy rises on (arXiv 2210.10760)."""
    return [
        Finding("best gain", _best(series), least=gain),
        Finding("share lost", _lost(series), least=lost),
        Finding("rise of the proxy since", _since_best(series, "eval/proxy_reward"), least=rise),
    ]


def runs_away(series: Series, gain: float, lost: float, rise: float, kl: float) -> list[Finding]:
    """It over-optimises, and ends far from the reference."""
    return [
        *over_optimises(series, gain, lost, rise),
        Finding("KL", _last(series, "eval/kl"), least=kl),
    ]


def keeps(series: Series, gain: float, lost: float) -> list[Finding]:
    """It keeps to the end nearly all that it gained."""
    return [
        Finding("gain", _last(series, "eval/gain"), least=gain),
        Finding("share lost", _lost(series), most=lost),
    ]


def carries_over(series: Series, rise: float, share: float) -> list[Finding]:
    """Of preferences from some prompts: the gold reward rises on them, and on the others too."""
    covered, uncovered = _risen(series, "covered"), _risen(series, "uncovered")
    measured = covered is not None and uncovered is not None
    return [
        Finding("rise on covered prompts", covered, least=rise),
        Finding("share on the others", uncovered / covered if measured else None, least=share),
    ]


def overtrains(series: Series, gain: float, lost: float, rise: float) -> list[Finding]:
    """DPO: the gold reward first gains and then loses, while the pairs' margin grows on."""
    margins = _since_best(series, "rewards/margins", WIDTH)
    return [
        Finding("best gain", _best(series), least=gain),
        Finding("share lost", _lost(series), least=lost),
        Finding("growth of the margin since", margins, least=rise),
    ]


RULES = {
    rule.__name__: rule
    for rule in (
        *(aligns, stays, wastes, over_optimises, runs_away, keeps, carries_over, overtrains),
    )
}


def _last(series: Series, metric: str) -> float | None:
    """The value at the end; None where the end was not measured."""
    end = max((points[-1][0] for points in series.values()), default=None)
    return dict(series.get(metric, [])).get(end)


def _risen(series: Series, side: str) -> float | None:
    """Gold reward at the end above the reference's, on one side of the prompts."""
    last = _last(series, f"eval/gold_reward_{side}")
    reference = _last(series, f"eval/gold_reward_reference_{side}")
    return None if last is None or reference is None else last - reference


def _best(series: Series) -> float | None:
    return max((value for _, value in series.get("eval/gain", [])), default=None)


def _lost(series: Series) -> float | None:
    best, last = _best(series), _last(series, "eval/gain")
    return None if last is None or best <= 0 else (best - last) / best


def _since_best(series: Series, metric: str, width: int = 1) -> float | None:
    """How much a metric has risen from the step of the best gain to the end.

    Each of the two is the mean of the latest `width` values there.
    """
    best = max(series.get("eval/gain", []), key=lambda point: point[1], default=(0, 0.0))
    values = [value for _, value in series.get(metric, [])]
    before = [value for step, value in series.get(metric, []) if step <= best[0]]
    if len(before) < width:
        return None
    return fmean(values[-width:]) - fmean(before[-width:])
