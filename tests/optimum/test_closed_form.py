"""The optimum, its weights and its quantiles, against enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from align_core.optimum import (
    at_quantile,
    by_prompt,
    chi_squared_optimum,
    chi_squared_ratios,
    optimum,
    weights,
)
from tests.optimum.samples import CHANCES, REWARDS, SAMPLES, bell, tilted


@pytest.mark.parametrize("beta", [0.1, 0.5, 1.0, 3.0, 50.0])
def test_the_optimum_equals_enumeration(beta):
    p = tilted(beta)
    point = optimum(SAMPLES, beta)
    assert point.beta == beta
    assert point.reward == pytest.approx((p * REWARDS).sum(), abs=1e-9)
    assert point.kl == pytest.approx((p * np.log(p / CHANCES)).sum(), abs=1e-9)


def test_no_other_policy_does_better():
    """π* maximises E[r] − β KL over a grid of policies on the four texts."""
    beta, point = 0.8, optimum(SAMPLES, 0.8)
    best = point.reward - beta * point.kl
    steps = range(1, 40)
    for a, b, c in itertools.product(steps, repeat=3):
        if a + b + c < 40:
            p = np.array([a, b, c, 40 - a - b - c]) / 40
            value = (p * REWARDS).sum() - beta * (p * np.log(p / CHANCES)).sum()
            assert value <= best + 1e-12
    against = tilted(-beta)
    assert (against * REWARDS).sum() < point.reward - 1


@pytest.mark.parametrize("beta", [0.02, 0.8, 30.0])
def test_the_optimum_of_chi_po_solves_its_equation(beta):
    """z + log z = (r − c)/β with one c, and the mean of z = π/π_ref is 1."""
    z = chi_squared_ratios(SAMPLES, beta)
    assert z.mean() == pytest.approx(1, abs=1e-12)
    c = SAMPLES - beta * (z + np.log(z))
    assert np.ptp(c) < 1e-9
    point = chi_squared_optimum(SAMPLES, beta)
    assert point.reward == pytest.approx((z * SAMPLES).mean(), abs=1e-12)
    assert point.kl == pytest.approx((z * np.log(z)).mean(), abs=1e-12)
    assert point.effective_samples == pytest.approx(20 / (z**2).mean(), abs=1e-9)


def test_no_other_policy_does_better_against_kl_and_chi_squared():
    """χPO's optimum maximises E[r] − β(KL + ½χ²), with χ² = E_ref[(π/π_ref − 1)²]."""
    beta, steps = 0.8, np.arange(1, 40)
    a, b, c = np.meshgrid(steps, steps, steps)
    counts = np.stack([a, b, c, 40 - a - b - c], -1).reshape(-1, 4)

    def value(p):
        kl, chi = (p * np.log(p / CHANCES)).sum(-1), ((p / CHANCES - 1) ** 2 * CHANCES).sum(-1)
        return (p * REWARDS).sum(-1) - beta * (kl + chi / 2)

    z = chi_squared_ratios(SAMPLES, beta)[0]
    best = value(np.array([z[SAMPLES[0] == reward][0] for reward in REWARDS]) * CHANCES)
    others = value(counts[counts[:, 3] > 0] / 40)
    assert best - 0.01 < others.max() <= best + 1e-12
    assert chi_squared_optimum(SAMPLES, beta).kl < optimum(SAMPLES, beta).kl


def test_the_value_of_the_optimum_is_the_log_of_its_normaliser():
    """E[r] − β KL = β log E_ref[exp(r/β)]."""
    for beta in (0.3, 1.0, 4.0):
        point = optimum(SAMPLES, beta)
        normaliser = beta * math.log((CHANCES * np.exp(REWARDS / beta)).sum())
        assert point.reward - beta * point.kl == pytest.approx(normaliser, abs=1e-9)


def test_weights_sum_to_one_and_survive_extreme_betas():
    rewards = bell(samples=50)
    for beta in (1e-3, 1.0, 1e6):
        w = weights(rewards, beta)
        assert np.isfinite(w).all()
        assert w.sum(1) == pytest.approx(np.ones(4), abs=1e-12)
    assert weights(rewards, 1e-3).argmax(1).tolist() == rewards.argmax(1).tolist()
    assert weights(rewards, 1e6) == pytest.approx(np.full((4, 50), 1 / 50), abs=1e-6)


def test_effective_samples_run_from_all_to_one():
    rewards = bell(samples=50)
    assert optimum(rewards, 1e6).effective_samples == pytest.approx(50, abs=1e-3)
    assert optimum(rewards, 1e-3).effective_samples == pytest.approx(1, abs=1e-3)
    p = tilted(1.0)
    kish = 1 / (p**2 / (20 * CHANCES)).sum()
    assert optimum(SAMPLES, 1.0).effective_samples == pytest.approx(kish, abs=1e-9)


def test_prompts_have_equal_weight_and_share_one_beta():
    rewards = bell()
    alone = [optimum(row[None], 0.9) for row in rewards]
    together = optimum(rewards, 0.9)
    assert together.reward == pytest.approx(np.mean([point.reward for point in alone]), abs=1e-9)
    assert together.kl == pytest.approx(np.mean([point.kl for point in alone]), abs=1e-9)


def test_rounding_makes_no_kl_negative():
    rewards = bell(50, 300)
    plain = weights(rewards, 1e10) * np.log(300 * weights(rewards, 1e10))
    assert plain.sum(1).min() < 0, "the test needs rounding"
    assert (by_prompt(rewards, 1e10)[1] >= 0).all()


def test_a_constant_added_to_the_reward_changes_no_weight():
    assert weights(SAMPLES + 100, 0.7) == pytest.approx(weights(SAMPLES, 0.7), abs=1e-12)


def test_a_quantile_of_the_optimum_follows_from_its_distribution():
    """Of 20 samples 10 have a reward of −1, 5 of 0.5, 3 of 2 and 2 of 4. At β = 1 the weights are
    10e⁻¹ : 5e⁰·⁵ : 3e² : 2e⁴ = 0.026 : 0.058 : 0.155 : 0.762."""
    mixed = SAMPLES[:, np.random.default_rng(3).permutation(20)]

    def reward(beta, quantile):
        return mixed[0, at_quantile(mixed, beta, quantile)[0]]

    assert [reward(math.inf, q) for q in (0.49, 0.51, 0.74, 0.76, 0.91)] == [-1, 0.5, 0.5, 2, 4]
    assert [reward(1.0, q) for q in (0.02, 0.03, 0.08, 0.09, 0.23, 0.25)] == [-1, 0.5, 0.5, 2, 2, 4]
    assert reward(0, 0.01) == 4
    four = np.arange(4.0)[None]  # with weights of exactly 1/4
    assert [int(at_quantile(four, math.inf, q)[0]) for q in (0.25, 0.5, 0.51, 1.0)] == [0, 1, 2, 3]
    assert at_quantile(four, math.inf, 1.0 + 1e-9) == 3, "rounding leaves the sum below a quantile"


def test_the_same_quantile_never_has_less_reward_at_a_smaller_beta():
    rewards = bell()
    rows = np.arange(len(rewards))
    betas = [math.inf, 30, 10, 3, 1, 0.3, 0.1, 0]
    earned = np.array([rewards[rows, at_quantile(rewards, beta, 0.25)] for beta in betas])
    assert (np.diff(earned, axis=0) >= 0).all()
    assert (earned[-1] == rewards.max(-1)).all()


def test_no_prompt_has_a_negative_kl():
    """At a β this large all KLs are 0, and rounding makes a third of them negative."""
    rewards = np.random.default_rng(0).normal(size=(50, 100))
    best = rewards.max(-1)
    w = np.exp((rewards - best[:, None]) / 1e8)
    rounded = ((w * rewards).sum(-1) / w.sum(-1) - best) / 1e8 - np.log(w.sum(-1) / 100)
    assert rounded.min() < 0
    assert by_prompt(rewards, 1e8)[1].min() == 0
