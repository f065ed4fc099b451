"""Means over seeds with their 95% intervals.

Student's t, not a bootstrap: resampling three values hardly ever leaves their range, and covers the
mean three times in four where it claims nineteen in twenty.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import TypedDict

_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)  # 1 to 9 degrees of freedom


class Mean(TypedDict):
    """A mean over n seeds and half the width of its 95% interval; None for a single one."""

    mean: float
    ci95: float | None
    n: int


def mean(values: Sequence[float | None]) -> Mean | None:
    """Of the values that are known; None where none is."""
    known = [float(value) for value in values if value is not None]
    if not known:
        return None
    half = None
    if len(known) > 1:
        half = t_quantile(len(known) - 1) * statistics.stdev(known) / math.sqrt(len(known))
    return {"mean": statistics.fmean(known), "ci95": half, "n": len(known)}


def difference(first: Mean, second: Mean) -> Mean:
    """first − second, of means whose seeds are not paired: Welch's interval with the degrees of
    freedom of either mean for their sum, which is on the safe side."""
    halves = first["ci95"], second["ci95"]
    half = None if None in halves else math.hypot(*halves)
    n = min(first["n"], second["n"])
    return {"mean": first["mean"] - second["mean"], "ci95": half, "n": n}


def sign(found: Mean, of: float = 0.0) -> int:
    """1 where the interval lies above this number, −1 below it; 0 where it holds it, and for a
    single seed, which has no interval."""
    if found["ci95"] is None or abs(found["mean"] - of) <= found["ci95"]:
        return 0
    return 1 if found["mean"] > of else -1


def t_quantile(freedom: int) -> float:
    """The 97.5% quantile of Student's t; from 10 on by Abramowitz & Stegun 26.7.5, to 0.2%."""
    if freedom <= len(_T):
        return _T[freedom - 1]
    z = statistics.NormalDist().inv_cdf(0.975)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def format_mean(found: Mean | None, digits: int = 2) -> str:
    """0.81 ± 0.03"""
    if found is None:
        return "–"
    half = "" if found["ci95"] is None else f" ± {found['ci95']:.{digits}f}"
    return f"{found['mean']:z.{digits}f}{half}".replace("-", "−")
