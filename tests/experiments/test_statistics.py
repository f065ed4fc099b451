"""Means over seeds and their intervals."""

from __future__ import annotations

import pytest

from align_core.experiments.statistics import difference, format_mean, mean, sign, t_quantile


def test_an_interval_of_three_values():
    # standard deviation 1; t with two degrees of freedom is 4.303; divided by √3
    interval = mean([1.0, 2.0, 3.0])
    assert interval == {"mean": 2.0, "ci95": pytest.approx(4.303 / 3**0.5), "n": 3}


def test_unknown_values_are_left_out():
    assert mean([None, 0.5]) == {"mean": 0.5, "ci95": None, "n": 1}
    assert mean([None]) is None


@pytest.mark.parametrize(
    "freedom, quantile", [(2, 4.3027), (9, 2.2622), (10, 2.2281), (15, 2.1314), (60, 2.0003)]
)
def test_students_t(freedom, quantile):
    assert t_quantile(freedom) == pytest.approx(quantile, rel=2e-3)


def test_a_mean_is_shown_with_its_interval():
    assert format_mean({"mean": -0.814, "ci95": 0.031, "n": 3}) == "−0.81 ± 0.03"
    assert format_mean({"mean": -0.001, "ci95": None, "n": 1}) == "0.00"
    assert format_mean(None) == "–"


def test_an_interval_is_above_or_below_a_number_or_contains_it():
    above = {"mean": 0.5, "ci95": 0.2, "n": 3}
    assert (sign(above), sign(above, 0.8), sign(above, 0.4)) == (1, -1, 0)
    assert sign({**above, "mean": -0.5}) == -1
    assert sign({**above, "ci95": 0.5}) == 0  # the interval ends at exactly 0
    assert sign({**above, "ci95": None}) == 0  # a single seed has no interval


def test_a_difference_of_means_has_the_interval_of_both():
    first, second = mean([1.0, 2.0, 3.0]), mean([1.0, 1.0, 4.0])
    interval = difference(first, second)
    # Variances 1 and 3: t with two degrees of freedom / √3 · √(1 + 3).
    assert interval == {"mean": 0.0, "ci95": pytest.approx(4.303 / 3**0.5 * 2), "n": 3}
    assert difference(first, mean([5.0])) == {"mean": -3.0, "ci95": None, "n": 1}
