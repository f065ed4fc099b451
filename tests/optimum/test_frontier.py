"""The frontier, and the gain and efficiency that follow from it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from align_core.config.model_index import reference_samples
from align_core.optimum import Frontier, ReferenceSamples, Trade, optimum
from tests.optimum.samples import SAMPLES, bell


def test_the_frontier_rises_and_bends_down():
    reward, kl, _ = Frontier.of(bell()).curve
    assert (np.diff(kl) > 0).all() and (np.diff(reward) > 0).all()
    slopes = np.diff(reward) / np.diff(kl)
    assert (np.diff(slopes) < 1e-6).all()


def test_the_slope_of_the_frontier_is_beta():
    """dr*/dKL = β: the reward that one more nat of KL brings."""
    betas = (0.5, 0.55, 0.6)
    for low, high in itertools.pairwise(betas):
        near, far = optimum(bell(), high), optimum(bell(), low)
        assert low < (far.reward - near.reward) / (far.kl - near.kl) < high


def test_the_frontier_starts_at_the_reference():
    reward, samples = Frontier.of(bell()).at(0.0)
    assert reward == pytest.approx(bell().mean(), abs=1e-12)
    assert samples == 2000


def test_every_optimum_lies_on_the_frontier():
    frontier = Frontier.of(bell())
    for beta in (0.7, 1.3, 5.0):
        point = optimum(bell(), beta)
        reward, samples = frontier.at(point.kl)
        assert reward == pytest.approx(point.reward, abs=2e-3)
        assert samples == pytest.approx(point.effective_samples, rel=2e-2)


def test_the_frontier_is_straight_between_the_points_of_its_grid():
    frontier = Frontier.of(bell())
    rewards, kls, _ = frontier.curve[:, 60:62].tolist()
    reward, _ = frontier.at(sum(kls) / 2)
    assert reward == pytest.approx(sum(rewards) / 2, abs=1e-12)


def test_the_frontier_of_resampled_prompts_is_that_of_their_rewards():
    draws = np.array([[3, 0, 3], [1, 1, 1]])
    for rows, resampled in zip(draws, Frontier.of(bell()).resampled(draws), strict=True):
        assert resampled.curve == pytest.approx(Frontier.of(bell()[rows]).curve, abs=1e-9)


def test_gain_is_one_at_two_nats_and_nothing_at_the_reference():
    rewards = bell(samples=20_000)
    frontier, base = Frontier.of(rewards), rewards.mean()
    best, _ = frontier.at(2.0)
    assert frontier.gain(best, base) == pytest.approx(1, abs=1e-12)
    assert frontier.gain(base, base) == 0
    assert frontier.gain(2 * base - best, base) == pytest.approx(-1, abs=1e-12)


def test_with_few_samples_a_gain_is_one_at_the_largest_kl_that_they_allow():
    """Of normal rewards with deviation σ the optimum at β has KL σ²/2β² and N·exp(−σ²/β²) effective
    samples, so N·exp(−2·KL) = 100 at KL = log(N/100)/2."""
    samples = np.random.default_rng(1).normal(size=(64, 300))
    few = Frontier.of(samples)
    assert few.gain_kl == pytest.approx(np.log(3) / 2, abs=0.05)
    assert few.at(few.gain_kl)[1] == pytest.approx(100, abs=1e-6)
    best = few.at(few.gain_kl)[0]
    assert few.gain(best, 0.0) == pytest.approx(1, abs=1e-12)
    assert Frontier.of(bell(samples=20_000)).gain_kl == 2.0
    fewest = Frontier.of(samples[:, :99])
    assert fewest.gain_kl is None and fewest.gain(1.0, 0.0) is None
    assert Trade.of(samples).full_gain == pytest.approx(best - samples.mean(), abs=1e-12)


def test_the_frontier_ends_with_only_the_best_texts():
    """As β → 0 it arrives at the best reward 4 of a tenth of the samples: a KL of log 10."""
    frontier = Frontier.of(np.tile(SAMPLES, 100))
    assert frontier.curve[:2, -1] == pytest.approx([4.0, math.log(10)], abs=1e-9)
    assert frontier.at(math.log(10))[0] == pytest.approx(4.0, abs=1e-9)
    assert frontier.at(5.0)[0] == pytest.approx(4.0, abs=1e-9)  # more KL does not increase it
    assert Trade.of(np.tile(SAMPLES, 100)).curve[-1] == pytest.approx((3.0, 4.0 - SAMPLES.mean()))


@pytest.mark.parametrize("split", ["probe", "heldout"])
def test_a_policy_that_writes_only_best_answers_has_a_gain_of_one(split):
    """In capitals r*(2) is 2.5: at 2 nats the optimum gives only best answers."""
    rewards = ReferenceSamples.load(reference_samples("capitals", split)).rewards
    frontier = Frontier.of(rewards)
    assert frontier.at(2.0)[0] == pytest.approx(rewards.max(1).mean(), abs=1e-6)
    assert frontier.gain(rewards.max(1).mean(), rewards.mean()) == pytest.approx(1, abs=1e-6)


def test_a_hundred_effective_samples_and_the_least_kl_are_enough():
    """A frontier of two points, between which everything is linear."""
    frontier = Frontier(np.array([[[0.0], [0.0], [100.0]], [[2.0], [2.0], [100.0]]]))
    assert (frontier.efficiency(0.5, 0.0, 1.0), frontier.gain_kl) == (0.5, 2.0)
    for samples in (199.0, 200.0):  # 100 of 200 at half of 0.1 nats
        few = Frontier(np.array([[[0.0], [0.0], [samples]], [[2.0], [0.1], [0.0]]]))
        assert few.gain_kl == (0.05 if samples == 200 else None)


def test_the_trade_ends_where_more_kl_brings_nothing():
    """Half of 200 samples have a reward of 1, the others of 0: the best is 1, at log 2 nats."""
    trade = Trade.of(np.repeat([[0.0, 1.0]], 100, axis=1))
    (first, *_, last, end), log2 = trade.curve, math.log(2)
    assert first == (0.0, 0.0) and end == (3.0, 0.5)
    assert last == pytest.approx((log2, 0.5), abs=1e-12)
    assert [kl for kl, _ in trade.curve] == sorted(kl for kl, _ in trade.curve)
    assert (trade.gain_kl, trade.full_gain) == (2.0, pytest.approx(0.5, abs=1e-6))
    n, kl, gain = trade.best_of[0]  # of two it is 1 with a probability of 3/4
    assert (n, gain) == (2, pytest.approx(0.25, abs=1e-12))
    assert kl == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), abs=1e-12)
    few = Trade.of(np.repeat([[0.0, 1.0]], 99, axis=1))  # 99 effective samples at the end
    assert few.curve[-1][0] < log2 and few.full_gain == pytest.approx(0.5, abs=0.01)
    # At the lowest β of the grid both of the better rewards count, and at the end the best alone.
    close = Trade.of(np.repeat([[0.0, 0.99, 1.0]], 60, axis=1))
    assert close.curve[-1][0] < math.log(3)


def test_a_reward_that_never_varies_has_no_gain():
    constant = Frontier.of(np.ones((2, 500)))
    assert constant.gain(1.0, 1.0) is None


def test_the_reference_with_the_same_noise_has_gain_and_efficiency_0():
    """For both models alike, the mean of four samples per prompt differs from the mean of 2,000."""
    frontier = Frontier.of(bell())
    lucky = bell().mean() + 0.4
    assert frontier.gain(lucky, lucky) == frontier.efficiency(lucky, lucky, kl=1.0) == 0
    halfway = (lucky + frontier.at(1.0)[0]) / 2
    assert frontier.efficiency(halfway, lucky, kl=1.0) == pytest.approx(0.5, abs=1e-12)


def test_efficiency_of_the_optimum_is_one_and_is_never_clipped():
    frontier, base, point = Frontier.of(bell()), bell().mean(), optimum(bell(), 1.5)
    assert frontier.efficiency(point.reward, base, point.kl) == pytest.approx(1, abs=2e-3)
    beyond = base + 1.5 * (point.reward - base)
    assert frontier.efficiency(beyond, base, point.kl) == pytest.approx(1.5, abs=2e-3)
    below = base - (point.reward - base)
    assert frontier.efficiency(below, base, point.kl) == pytest.approx(-1, abs=2e-3)


@pytest.mark.parametrize(
    ("kl", "known"),
    [(0.0, False), (0.049, False), (0.05, True), (1.0, True), (3.0, True), (3.01, False)],
)
def test_efficiency_is_null_outside_the_range_of_kl(kl, known):
    frontier = Frontier.of(bell(samples=200_000, prompts=1))
    assert (frontier.efficiency(1.0, 0.0, kl) is not None) is known


def test_efficiency_is_null_if_few_samples_have_the_weight_of_the_optimum():
    few, many = Frontier.of(bell(samples=300)), Frontier.of(bell(samples=3000))
    assert few.at(1.0)[1] < 100 < many.at(1.0)[1]
    assert few.efficiency(2.0, 1.5, 1.0) is None
    assert few.efficiency(2.0, 1.5, 0.1) is not None
    assert many.efficiency(2.0, 1.5, 1.0) is not None
