"""The closed-form optimum, compared with enumeration on a small discrete reference."""

from __future__ import annotations

import itertools
import math
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from align_core.config.model_index import reference_samples
from align_core.optimum import (
    Frontier,
    ReferenceSamples,
    Trade,
    at_quantile,
    best_of_n,
    by_prompt,
    optimum,
    weights,
)

# A reference with four texts of these probabilities; 20 samples have exactly these proportions.
CHANCES = np.array([0.5, 0.25, 0.15, 0.1])
REWARDS = np.array([-1.0, 0.5, 2.0, 4.0])
SAMPLES = np.repeat(REWARDS, (20 * CHANCES).astype(int))[None]


def tilted(beta: float) -> np.ndarray:
    """π* of the discrete reference: π_ref exp(r/β), normalised."""
    p = CHANCES * np.exp(REWARDS / beta)
    return p / p.sum()


def bell(prompts: int = 4, samples: int = 2000) -> np.ndarray:
    """Rewards with a standard deviation of 2 nats and a different mean for each prompt."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(prompts, samples)) * 2 + np.arange(prompts)[:, None]


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


def test_the_frontier_of_some_prompts_is_that_of_their_rewards():
    rows = np.array([3, 0, 3])
    some, anew = Frontier.of(bell()).select(rows), Frontier.of(bell()[rows])
    assert some.curve == pytest.approx(anew.curve, abs=1e-12)


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
def test_a_policy_that_only_writes_the_best_answers_gains_all_there_is(split):
    """Of capitals r*(2) is 2.5: at 2 nats the optimum gives nothing but best answers."""
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


def enumerated_best_of_n(rewards: list[float], n: int) -> tuple[float, float]:
    """Enumerates all draws of n samples; equal rewards are kept with equal probability."""
    kept = dict.fromkeys(range(len(rewards)), 0.0)
    for draw in itertools.product(range(len(rewards)), repeat=n):
        best = max(rewards[i] for i in draw)
        equals = [i for i, reward in enumerate(rewards) if reward == best]
        for i in equals:
            kept[i] += 1 / len(equals) / len(rewards) ** n
    reward = sum(p * rewards[i] for i, p in kept.items())
    kl = sum(p * math.log(p * len(rewards)) for p in kept.values() if p > 0)
    return reward, kl


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize(
    "rewards", [[0.0, 1.0, 2.0, 4.0], [1.0, 0.0, 1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]
)
def test_best_of_n_equals_enumeration(rewards, n):
    best = best_of_n(np.array([rewards]), n)
    assert best == pytest.approx(enumerated_best_of_n(rewards, n), abs=1e-12)


def test_best_of_n_can_select_by_one_reward_and_measure_another():
    # Of two draws from three, the highest of 0, 1, 2 is kept with probability 1/9, 3/9, 5/9.
    picked_by, worth = np.array([[0.0, 1.0, 2.0]]), np.array([[9.0, 3.0, -1.0]])
    kept = np.array([1, 3, 5]) / 9
    reward, kl = best_of_n(picked_by, 2, worth)
    assert reward == pytest.approx((9 * 1 + 3 * 3 - 1 * 5) / 9, abs=1e-12)
    assert kl == pytest.approx((kept * np.log(3 * kept)).sum(), abs=1e-12)
    # A fair coin breaks ties: 2/3 of the draws of one have one of the tied samples.
    assert best_of_n(np.array([[1.0, 1.0, 0.0]]), 1, worth)[0] == pytest.approx(11 / 3)


def test_best_of_n_averages_prompts_and_stays_under_its_bounds():
    rewards = bell()
    alone = [best_of_n(row[None], 16) for row in rewards]
    reward, kl = best_of_n(rewards, 16)
    assert (reward, kl) == pytest.approx(tuple(np.mean(alone, axis=0)), abs=1e-12)
    assert kl <= math.log(16) - 15 / 16 + 1e-9
    assert rewards.mean() < reward <= Frontier.of(rewards).at(kl)[0] + 1e-6
    assert math.isfinite(best_of_n(rewards, 150)[1]), "0.0005¹⁵⁰ is 0 in float64"


def stored() -> ReferenceSamples:
    rng = np.random.default_rng(0)
    return ReferenceSamples(
        prompts=["the film", "a plot – été", "never"],
        tokens=rng.integers(0, 1024, (3, 5, 7)).astype(np.uint16),
        lengths=rng.integers(1, 8, (3, 5)).astype(np.uint8),
        ended=rng.random((3, 5)) < 0.5,
        rewards=rng.normal(size=(3, 5)),
    )


def test_reference_samples_come_back_as_they_were_saved(tmp_path):
    samples = stored()
    samples.save(tmp_path / "reference.npz")
    again = ReferenceSamples.load(tmp_path / "reference.npz")
    assert again.prompts == samples.prompts
    for name in ("tokens", "lengths", "ended"):
        assert np.array_equal(getattr(again, name), getattr(samples, name))
        assert getattr(again, name).dtype == getattr(samples, name).dtype
    assert again.rewards.dtype == np.float64
    assert again.rewards == pytest.approx(samples.rewards, abs=1e-6)


def test_reference_samples_hold_no_pickle(tmp_path):
    stored().save(tmp_path / "reference.npz")
    with zipfile.ZipFile(tmp_path / "reference.npz") as file:
        for name in file.namelist():
            array = np.lib.format.read_array(file.open(name), allow_pickle=False)
            assert not array.dtype.hasobject


def test_a_pickle_is_refused(tmp_path):
    fields = {name: np.zeros((1, 1)) for name in ("tokens", "lengths", "ended", "rewards")}
    prompts = np.array([{"not": "a text"}], dtype=object)
    np.savez_compressed(tmp_path / "bad.npz", prompts=prompts, **fields)
    with pytest.raises(ValueError, match="allow_pickle"):
        ReferenceSamples.load(tmp_path / "bad.npz")


def test_arrays_that_do_not_fit_together_are_refused(tmp_path):
    samples, file = stored(), tmp_path / "reference.npz"
    wrong = (
        {"prompts": ["the film", "never"]},
        {"prompts": [1, 2, 3]},
        {"tokens": samples.tokens[:, :, 0]},
        {"tokens": samples.tokens.astype(np.int64)},
        {"tokens": samples.tokens[:, :4]},
        {"tokens": samples.tokens[:, :, : samples.lengths.max() - 1]},
        {"lengths": samples.lengths.astype(np.int8)},
        {"lengths": samples.lengths[:2]},
        {"ended": samples.ended[:, :4]},
        {"rewards": samples.rewards[:, 0]},
        {"rewards": samples.rewards[:, :4]},
        {"rewards": np.full((3, 5), np.nan)},
        {"tokens": samples.tokens[:, 0], "rewards": samples.rewards[:, 0]}
        | {"lengths": samples.lengths[:, 0], "ended": samples.ended[:, 0]},
    )
    for changes in wrong:
        replace(samples, **changes).save(file)
        with pytest.raises(ValueError, match="expected arrays .prompts, samples. of one shape"):
            ReferenceSamples.load(file)
    full = replace(samples, lengths=np.full((3, 5), 7, np.uint8))
    full.save(file)
    assert (ReferenceSamples.load(file).lengths == 7).all()


def test_parts_are_joined_in_their_order():
    samples = stored()
    parts = [samples.select(["never"]), samples.select(["the film", "a plot – été"])]
    joined, expected = (
        ReferenceSamples.joined(parts),
        samples.select([*parts[0].prompts, *parts[1].prompts]),
    )
    assert joined.prompts == expected.prompts
    for name in ("tokens", "lengths", "ended", "rewards"):
        assert np.array_equal(getattr(joined, name), getattr(expected, name))


def test_selecting_prompts_keeps_the_requested_order():
    samples = stored()
    two = samples.select(["never", "the film"])
    assert two.prompts == ["never", "the film"]
    for name in ("tokens", "lengths", "ended", "rewards"):
        assert np.array_equal(getattr(two, name), getattr(samples, name)[[2, 0]])
    with pytest.raises(KeyError, match="the play"):
        samples.select(["the film", "the play"])


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
