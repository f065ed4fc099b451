"""Reward over KL: hulls and fits of hand-made curves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from align_core.experiments.kl_curves import fit, identity, reward_within


def test_policies_may_be_mixed():
    points = [(0.0, 0.0), (1.0, 1.0), (2.0, 3.0), (3.0, 2.0), (4.0, 3.5), (0.5, -1.0)]
    # The hull is 0 → (2, 3) → (4, 3.5); the points (1, 1), (3, 2) and (0.5, −1) are below it.
    assert reward_within(points, 1.0) == pytest.approx(1.5)
    assert reward_within(points, 2.0) == pytest.approx(3.0)
    assert reward_within(points, 3.0) == pytest.approx(3.25)
    assert reward_within(points, 9.0) == pytest.approx(3.5)  # a budget need not be used up
    assert reward_within([(0.0, 0.5)], 1.0) == 0.5


def test_the_better_of_two_runs_at_the_same_kl_counts():
    assert reward_within([(0.0, 0.0), (1.0, 1.0), (1.0, 2.0)], 0.5) == pytest.approx(1.0)


def test_a_fit_recovers_the_curve():
    ds = [0.0, 0.5, 1.0, 2.0, 3.0]
    best_of_n = [(d, d * (2.0 - 0.3 * d)) for d in ds]
    fitted = fit(best_of_n, identity)
    assert fitted == pytest.approx({"alpha": 2.0, "beta": 0.3, "error": 0.0}, abs=1e-9)
    rl = [(d, d * (1.5 - 0.7 * math.log(d)) if d else 0.0) for d in ds]
    fitted = fit(rl, np.log)
    assert fitted == pytest.approx({"alpha": 1.5, "beta": 0.7, "error": 0.0}, abs=1e-9)


def test_the_error_of_a_fit_is_that_of_the_residuals():
    # d(α − βd) at d = 1, 1, 2 with R = 1.1, 0.9, 2: α = 1, β = 0, and two residuals of 0.1.
    fitted = fit([(1.0, 1.1), (1.0, 0.9), (2.0, 2.0)], identity)
    assert fitted["error"] == pytest.approx(math.sqrt(0.02 / 3))
    assert fit([(0.0, 0.0), (1.0, 1.0), (2.0, 2.0)], identity) is None
