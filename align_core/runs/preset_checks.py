"""The rules that check the promise of a preset against the metrics of its run.

A rule compares some numbers of the run with bounds. Series are metric -> [(step, value), …], in
order and without nulls. The gain is `eval/gain`: the share of what the optimum gains at a KL of 2
nats. The share lost is the part of the best gain that is missing at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean
from typing import Any

WIDTH = 10  # steps over which margins are averaged: one batch of pairs is noisy

Series = Mapping[str, Sequence[tuple[int, float]]]


@dataclass(frozen=True)
class Check:
    """One number of a run and its bounds; `value` is None if it was not measured.

    A `name` that ends in "since" is about the steps after the best gain.
    """

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


def checks(promise: Mapping[str, Any], series: Series) -> list[Check]:
    """The checks of a promise, {"rule": name, **thresholds}; it is kept if all of them hold."""
    thresholds = {name: value for name, value in promise.items() if name != "rule"}
    return RULES[promise["rule"]](series, **thresholds)


def aligns(series: Series, gain: float, efficiency: float) -> list[Check]:
    """The run ends with a high gain, and with a high frontier efficiency."""
    return [
        Check("gain", _last(series, "eval/gain"), least=gain),
        Check("efficiency", _last(series, "eval/frontier_efficiency"), least=efficiency),
    ]


def ranks(series: Series, accuracy: float) -> list[Check]:
    """A reward model ends with a high share of held-out pairs that it ranks by gold reward."""
    return [Check("accuracy", _last(series, "eval/accuracy"), least=accuracy)]


def stays(series: Series, kl: float, gain: float) -> list[Check]:
    """The run stays close to the reference throughout, and so gains little."""
    furthest = max((value for _, value in series.get("eval/kl", [])), default=None)
    return [
        Check("largest KL", furthest, most=kl),
        Check("gain", _last(series, "eval/gain"), most=gain),
    ]


def wastes(series: Series, gain: float, efficiency: float) -> list[Check]:
    """The run gains, but spends KL that brings no reward: its efficiency is low."""
    return [
        Check("gain", _last(series, "eval/gain"), least=gain),
        Check("efficiency", _last(series, "eval/frontier_efficiency"), most=efficiency),
    ]


def over_optimises(series: Series, gain: float, lost: float, rise: float) -> list[Check]:
    """The gold reward rises and then falls while the proxy keeps rising (arXiv 2210.10760)."""
    return [
        Check("best gain", _best(series), least=gain),
        Check("share lost", _lost(series), least=lost),
        Check("rise of the proxy since", _since_best(series, "eval/proxy_reward"), least=rise),
    ]


def runs_away(series: Series, gain: float, lost: float, rise: float, kl: float) -> list[Check]:
    """The run over-optimises, and ends far from the reference."""
    return [
        *over_optimises(series, gain, lost, rise),
        Check("KL", _last(series, "eval/kl"), least=kl),
    ]


def hacks(series: Series, rise: float, fall: float, kl: float) -> list[Check]:
    """The proxy rises, the gold reward falls below its initial value, and the KL ends high."""
    return [
        Check("rise of the proxy", _change(series, "eval/proxy_reward"), least=rise),
        Check("change of the gold reward", _change(series, "eval/gold_reward"), most=-fall),
        Check("KL", _last(series, "eval/kl"), least=kl),
    ]


def keeps(series: Series, gain: float, lost: float) -> list[Check]:
    """The run loses little of its best gain by the end."""
    return [
        Check("gain", _last(series, "eval/gain"), least=gain),
        Check("share lost", _lost(series), most=lost),
    ]


def carries_over(series: Series, rise: float, share: float) -> list[Check]:
    """Trained on preferences for some prompts, the run raises gold reward on the others, too."""
    covered, uncovered = _rise(series, "covered"), _rise(series, "uncovered")
    ratio = None if covered is None or uncovered is None else uncovered / covered
    return [
        Check("rise on covered prompts", covered, least=rise),
        Check("share on the others", ratio, least=share),
    ]


def overtrains(series: Series, gain: float, lost: float, rise: float) -> list[Check]:
    """DPO: the gold reward rises and then falls while the margin of the pairs keeps growing."""
    margins = _since_best(series, "rewards/margins", WIDTH)
    return [
        Check("best gain", _best(series), least=gain),
        Check("share lost", _lost(series), least=lost),
        Check("growth of the margin since", margins, least=rise),
    ]


RULES = {
    rule.__name__: rule
    for rule in (
        *(aligns, ranks, stays, wastes, over_optimises, runs_away, hacks, keeps),
        *(carries_over, overtrains),
    )
}


def _last(series: Series, metric: str) -> float | None:
    """The metric's value at the last step of the run; None if it was not measured at that step."""
    ends = [points[-1][0] for points in series.values()]
    return dict(series.get(metric, [])).get(max(ends)) if ends else None


def _change(series: Series, metric: str) -> float | None:
    """The metric's value at the last step of the run minus that at its first evaluation."""
    last = _last(series, metric)
    return None if last is None else last - series[metric][0][1]


def _rise(series: Series, subset: str) -> float | None:
    """Final gold reward minus the reference's, on the "covered" or "uncovered" prompts."""
    last = _last(series, f"eval/gold_reward_{subset}")
    reference = _last(series, f"eval/gold_reward_reference_{subset}")
    return None if last is None or reference is None else last - reference


def _best(series: Series) -> float | None:
    return max((value for _, value in series.get("eval/gain", [])), default=None)


def _lost(series: Series) -> float | None:
    best, last = _best(series), _last(series, "eval/gain")
    return None if last is None or best is None or best <= 0 else (best - last) / best


def _since_best(series: Series, metric: str, width: int = 1) -> float | None:
    """The rise of a metric from the step of the best gain to the last step.

    The value at each of the two steps is the mean of the last `width` values up to it.
    """
    best = max(series.get("eval/gain", []), key=lambda point: point[1], default=(0, 0.0))
    values = [value for _, value in series.get(metric, [])]
    before = [value for step, value in series.get(metric, []) if step <= best[0]]
    if len(before) < width:
        return None
    return fmean(values[-width:]) - fmean(before[-width:])
