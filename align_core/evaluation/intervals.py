"""95% intervals of what was measured: the bootstrap, over prompts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 1000


def resampled(count: int) -> np.ndarray:
    """Rows of a bootstrap over prompts: [RESAMPLES, count], the same for every number."""
    return np.random.default_rng(0).integers(count, size=(RESAMPLES, count))


def half_width(draws: Sequence[np.ndarray], values: np.ndarray) -> float | None:
    """Of the mean of `values`, one a prompt, over redrawn prompts; None where there is no draw."""
    return spread([values[rows].mean() for rows in draws])


def spread(values: Sequence[float | None]) -> float | None:
    """Half the width of the middle 95% of redrawn values; None where most of them are unknown."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) / 2 or not known:
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(high - low) / 2
