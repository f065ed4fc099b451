"""The bootstrap over prompts, on numbers with a known standard deviation."""

from __future__ import annotations

import numpy as np
import pytest

from align_core.evaluation.intervals import (
    RESAMPLES,
    bootstrap_rows,
    ci95,
    ci95_of_mean,
)


def test_a_mean_has_the_interval_of_its_standard_error():
    values = np.random.default_rng(1).normal(scale=2.0, size=400)
    # 1.96 σ/√n with σ = 2 and n = 400, to the accuracy of a thousand resampled means.
    assert ci95_of_mean(bootstrap_rows(400), values) == pytest.approx(1.96 * 2 / 20, rel=0.1)


def test_values_equal_in_all_prompts_have_no_interval():
    assert ci95_of_mean(bootstrap_rows(7), np.full(7, 3.0)) == 0.0


def test_every_number_uses_the_same_resampled_prompts():
    draws = bootstrap_rows(5)
    assert draws.shape == (RESAMPLES, 5) and np.array_equal(draws, bootstrap_rows(5))
    assert set(draws.ravel()) == set(range(5))


def test_an_interval_is_half_of_the_middle_95_percent():
    # 0 … 200: the middle 95% range from 5 to 195.
    assert ci95([float(value) for value in range(201)]) == 95.0


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], None), ([None, None, 1.0], None), ([None, 1.0], 0.0), ([None, 1.0, 1.0], 0.0)],
)
def test_mostly_unknown_values_have_no_interval(values, expected):
    assert ci95(values) == expected
