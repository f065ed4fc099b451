"""Half-widths of 95% intervals: the percentile bootstrap over prompts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 1000


def bootstrap_rows(count: int) -> np.ndarray:
    """Indices [RESAMPLES, count] of resampled prompts, the same at every call."""
    return np.random.default_rng(0).integers(count, size=(RESAMPLES, count))


def ci95_of_mean(draws: np.ndarray, values: np.ndarray) -> float | None:
    """Half-width of the interval of the mean of `values` [prompts] over the rows of `draws`, the
    indices of resampled prompts. None without draws."""
    return ci95(values[draws].mean(1)) if len(draws) else None


def ci95(values: Sequence[float | None] | np.ndarray) -> float | None:
    """Half the width of the middle 95% of resampled values; None if most of them are None."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) / 2 or not known:
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(high - low) / 2
