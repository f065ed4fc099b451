"""Reward over KL: hulls and fits of hand-made curves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from align_core.experiments.kl_curves import (
    fit,
    gold_at,
    identity,
    lost_from,
    mean_fit,
    reward_within,
)


def test_the_hull_covers_mixtures_of_policies():
    points = [(0.0, 0.0), (1.0, 1.0), (2.0, 3.0), (3.0, 2.0), (4.0, 3.5), (0.5, -1.0)]
    # The hull is 0 → (2, 3) → (4, 3.5); the points (1, 1), (3, 2) and (0.5, −1) are below it.
    assert reward_within(points, 1.0) == pytest.approx(1.5)
    assert reward_within(points, 2.0) == pytest.approx(3.0)
    assert reward_within(points, 3.0) == pytest.approx(3.25)
    assert reward_within(points, 9.0) == pytest.approx(3.5)  # a budget need not be used up
    assert reward_within([(0.0, 0.5)], 1.0) == 0.5


def test_of_two_runs_with_the_same_kl_the_better_one_counts():
    assert reward_within([(0.0, 0.0), (1.0, 1.0), (1.0, 2.0)], 0.5) == pytest.approx(1.0)


def test_a_fit_recovers_the_curve():
    ds = [0.0, 0.5, 1.0, 2.0, 3.0]
    best_of_n = [(d, d * (2.0 - 0.3 * d)) for d in ds]
    fitted = fit(best_of_n, identity)
    assert fitted == pytest.approx({"alpha": 2.0, "beta": 0.3, "error": 0.0, "r2": 1.0}, abs=1e-9)
    rl = [(d, d * (1.5 - 0.7 * math.log(d)) if d else 0.0) for d in ds]
    fitted = fit(rl, np.log)
    assert fitted == pytest.approx({"alpha": 1.5, "beta": 0.7, "error": 0.0, "r2": 1.0}, abs=1e-9)


def test_the_error_of_a_fit_is_from_its_residuals():
    # d(α − βd) at d = 1, 1, 2 with R = 1.1, 0.9, 2: α = 1, β = 0, and two residuals of 0.1.
    fitted = fit([(1.0, 1.1), (1.0, 0.9), (2.0, 2.0)], identity)
    assert fitted["error"] == pytest.approx(math.sqrt(0.02 / 3))
    # The mean of R is 4/3, its squared deviations 0.0544, 0.1878 and 0.4444, in all 0.6867.
    assert fitted["r2"] == pytest.approx(1 - 0.02 / 0.68667, abs=1e-5)
    assert fit([(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)], identity) is None


def curve(ds, gold):
    return [(d, gold(d), 0.0) for d in ds]


def test_a_fit_holds_where_it_explains_and_turns_with_the_curves():
    ds = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    turns = curve(ds, lambda d: d * (2.0 - 0.5 * d))  # its peak is at d = 2
    rises = curve(ds[:4], lambda d: d * (2.0 - 0.5 * d))
    assert mean_fit([turns], identity)["holds"] and mean_fit([rises], identity)["holds"]

    # A gold reward that saturates never falls, but the parabola through it does: R² is 0.98.
    saturates = mean_fit([curve(ds, lambda d: 3 * (1 - math.exp(-d)))] * 3, identity)
    assert saturates["r2"]["mean"] > 0.95 and not saturates["holds"]

    collapses = mean_fit([curve(ds, lambda d: d if d < 2.2 else -3.0)], identity)
    assert collapses["r2"]["mean"] < 0.9 and not collapses["holds"]


def test_gold_is_compared_where_a_run_first_reaches_a_distance():
    points = [(0.0, 0.0, 0.0), (1.0, 2.0, 1.0), (0.5, 1.0, 1.5), (2.0, 3.0, 2.0)]
    assert gold_at(points, 0.75) == pytest.approx(1.5)  # not 1.33, on the way back to it
    assert gold_at(points, 1.25) == pytest.approx(2.0)
    assert gold_at(points, 2.0) == pytest.approx(3.0)
    with pytest.raises(ValueError, match="at most 2.00, got 2.10"):
        gold_at(points, 2.1)


def test_the_fall_begins_where_a_share_of_the_peak_is_lost():
    points = [(0.0, 0.0, 0.0), (1.0, 2.0, 1.0), (2.0, 1.6, 2.0), (3.0, 1.4, 3.0)]
    assert lost_from(points, 0.25) == 3.0  # 1.4 is less than three quarters of 2
    assert lost_from(points, 0.1) == 2.0
    assert lost_from(points, 0.5) is None
