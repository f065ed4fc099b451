"""Half-widths of 95% intervals: the percentile bootstrap over prompts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

RESAMPLES = 1000


def bootstrap_rows(count: int) -> np.ndarray:
    """Indices [RESAMPLES, count] of resampled prompts, the same at every call."""
    return np.random.default_rng(0).integers(count, size=(RESAMPLES, count))


def ci95_of_mean(draws: Iterable[np.ndarray], values: np.ndarray) -> float | None:
    """Half-width of the interval of the mean of `values` [prompts] over resampled rows `draws`.

    None without draws.
    """
    return ci95([values[rows].mean() for rows in draws])


def ci95(values: Sequence[float | None]) -> float | None:
    """Half the width of the middle 95% of resampled values; None if most of them are None."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) / 2 or not known:
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(high - low) / 2
