"""Means over seeds with their 95% intervals.

The intervals are those of Student's t, not of a bootstrap: with three values, a nominal 95%
bootstrap interval covers the mean in only three of four cases.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TypedDict

_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)  # 1 to 9 degrees of freedom


class Mean(TypedDict):
    """A mean over n seeds and the half-width of its 95% interval, None for one seed."""

    mean: float
    ci95: float | None
    n: int


def mean(values: Sequence[float | None]) -> Mean | None:
    """The mean of the values that are not None; None if all are."""
    known = [float(value) for value in values if value is not None]
    if not known:
        return None
    half = None
    if len(known) > 1:
        half = t_quantile(len(known) - 1) * statistics.stdev(known) / math.sqrt(len(known))
    return {"mean": statistics.fmean(known), "ci95": half, "n": len(known)}


def difference(first: Mean, second: Mean) -> Mean:
    """first − second for unpaired seeds, with Welch's interval.

    Its degrees of freedom are those of the smaller sample, which makes it conservative.
    """
    halves = [mean["ci95"] for mean in (first, second) if mean["ci95"] is not None]
    half = math.hypot(*halves) if len(halves) == 2 else None
    n = min(first["n"], second["n"])
    return {"mean": first["mean"] - second["mean"], "ci95": half, "n": n}


def sign(value: Mean, threshold: float = 0.0) -> int:
    """1 if the whole interval is above `threshold`, −1 if below, 0 if it contains it.

    Also 0 for a single seed, which has no interval.
    """
    if value["ci95"] is None or abs(value["mean"] - threshold) <= value["ci95"]:
        return 0
    return 1 if value["mean"] > threshold else -1


def t_quantile(freedom: int) -> float:
    """The 97.5% quantile of Student's t; for 10 degrees of freedom and more by Abramowitz & Stegun
    26.7.5, within 0.2%."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    z = statistics.NormalDist().inv_cdf(0.975)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def format_mean(value: Mean | None, digits: int = 2) -> str:
    """For example "0.81 ± 0.03"; "–" for None."""
    if value is None:
        return "–"
    half = "" if value["ci95"] is None else f" ± {value['ci95']:.{digits}f}"
    return f"{value['mean']:z.{digits}f}{half}".replace("-", "−")
