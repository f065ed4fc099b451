"""The optimum of a learned reward by the gold reward, and the two parts of a policy's distance."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from align_core.evaluation import learned_optimum as module
from align_core.evaluation.distance import optimum_gap
from align_core.evaluation.learned_optimum import learned_optimum, score_of, shortfall
from align_core.evaluation.optimum_distance import texts_of
from align_core.models.rewards import ProxyReward
from align_core.optimum import ReferenceSamples, optimum, weights
from tests import toy
from tests.evaluation.toy_evaluator import PROMPTS, evaluator
from tests.training.films import Films


def test_two_samples_by_hand():
    """β = 1, r = (0, log 3), r̂ the other way round: π* = (¼, ¾) with J = log 2, π*_r̂ = (¾, ¼)."""
    rewards, learned = np.log([[1.0, 3.0]]), np.log([[3.0, 1.0]])
    own = learned_optimum(rewards, learned, 1.0)
    assert own.reward == pytest.approx(0.25 * math.log(3) - 0.75 * math.log(3), abs=1e-12)
    assert own.kl == pytest.approx(0, abs=1e-12), "the same weights in another order"
    assert own.gap.value == pytest.approx(0.5 * math.log(3), abs=1e-12)
    assert own.effective_samples == pytest.approx(1 / (0.75**2 + 0.25**2))


@pytest.mark.parametrize("beta", [0.4, 1.0, 3.0])
def test_the_gap_is_beta_times_the_kl_to_the_optimum(beta):
    """J(π*) − J(π) = β KL(π ‖ π*) holds for the weights of π*_r̂, on any samples."""
    rng = np.random.default_rng(0)
    rewards, error = rng.normal(size=(5, 40)), rng.normal(size=(5, 40))
    learned = rewards + error
    own = learned_optimum(rewards, learned, beta)
    w, v = weights(rewards, beta), weights(learned, beta)
    assert own.gap.value == pytest.approx(beta * (v * np.log(v / w)).sum(-1).mean(), abs=1e-12)
    shifted = learned_optimum(rewards, learned + np.arange(5.0)[:, None], beta)
    for name in ("reward", "kl", "effective_samples"):
        assert getattr(shifted, name) == pytest.approx(getattr(own, name), abs=1e-12)
    assert shifted.gap.standard_error == pytest.approx(own.gap.standard_error, abs=1e-12)
    right = learned_optimum(rewards, rewards + 7, beta).gap
    assert (right.value, right.standard_error) == pytest.approx((0, 0), abs=1e-12)


def test_the_standard_error_is_that_of_a_mean_of_influences():
    """n influences with mean 0 have the variance Σ i²/(n − 1), their mean that over n; the mean of
    k independent prompts has 1/k of that."""
    rng, beta, n = np.random.default_rng(3), 0.7, 7
    rewards, learned = rng.normal(size=(1, n)), rng.normal(size=(1, n))
    w, v = weights(rewards, beta)[0], weights(learned, beta)[0]
    error = (rewards - learned)[0] - v @ (rewards - learned)[0]
    influences = n * (beta * (w - v) - v * error)
    assert influences.mean() == pytest.approx(0, abs=1e-12)
    expected = influences.std(ddof=1) / math.sqrt(n)
    assert learned_optimum(rewards, learned, beta).gap.standard_error == pytest.approx(expected)
    four = learned_optimum(np.tile(rewards, (4, 1)), np.tile(learned, (4, 1)), beta).gap
    assert four.standard_error == pytest.approx(expected / 2)


def test_the_standard_error_is_the_spread_over_samples():
    """Of 400 draws of 250 samples from nine rewards with errors."""
    rng, beta = np.random.default_rng(1), 1.0
    gold, error = rng.normal(size=9), rng.normal(size=9) / 2
    drawn = [rng.integers(0, 9, size=(1, 250)) for _ in range(400)]
    gaps = [learned_optimum(gold[d], (gold + error)[d], beta).gap for d in drawn]
    spread = np.std([gap.value for gap in gaps], ddof=1)
    assert np.mean([gap.standard_error for gap in gaps]) == pytest.approx(spread, rel=0.1)


BETA = 2.0


def stored(samples: int = 600) -> ReferenceSamples:
    """Samples for the last and the first prompt."""
    rewards = np.random.default_rng(0).normal(size=(2, samples))
    ones = np.ones(rewards.shape, np.uint8)
    return ReferenceSamples([PROMPTS[2], PROMPTS[0]], 2 * ones[..., None], ones, ones > 0, rewards)


def half_right(samples: ReferenceSamples) -> np.ndarray:
    """A learned reward of the first 300 samples: half of the gold reward."""
    return samples.rewards[:, :300] / 2


@pytest.fixture(scope="module")
def evaluation():
    return evaluator(toy.policy(1))(toy.policy(0))


def test_the_parts_add_up_to_the_distance(evaluation):
    metrics = shortfall(PROMPTS, stored(), evaluation, BETA, half_right)
    rewards = stored().rewards[::-1]
    gap = optimum_gap(texts_of(evaluation, 3, [0, 2]), rewards, BETA)
    assert metrics["eval/optimum_gap"] == pytest.approx(gap.value, abs=1e-12)
    assert metrics["eval/optimum_gap_ci95"] == pytest.approx(gap.ci95, abs=1e-12)
    own = learned_optimum(rewards[:, :300], rewards[:, :300] / 2, BETA).gap
    assert metrics["eval/learned_optimum_gap"] == pytest.approx(own.value, abs=1e-12)
    assert metrics["eval/learned_optimum_gap_ci95"] == pytest.approx(own.ci95, abs=1e-12)
    # The point of the picture lies as far below the optimum at β, of all samples, as the gap says.
    best = optimum(rewards, BETA)
    height = metrics["eval/learned_optimum_above_reference"]
    kl = metrics["eval/learned_optimum_kl"]
    lacking = best.reward - rewards.mean() - BETA * best.kl - (height - BETA * kl)
    assert lacking == pytest.approx(own.value, abs=1e-12)
    assert 0 < height < best.reward - rewards.mean() and 0 < kl < best.kl


def test_a_policy_of_the_gold_reward_has_only_the_distance(evaluation):
    for beta in (1.0, BETA):
        metrics = shortfall(PROMPTS, stored(), evaluation, beta, None)
        assert metrics.keys() == {"eval/optimum_gap", "eval/optimum_gap_ci95"}


def test_two_texts_of_a_prompt_are_enough_and_one_is_not():
    for samples, known in ((2, True), (1, False)):
        few = evaluator(toy.policy(1), samples=samples)(toy.policy(0))
        assert ("eval/optimum_gap" in shortfall(PROMPTS, stored(), few, BETA, None)) == known


def test_as_many_effective_samples_as_are_needed_are_enough(evaluation, monkeypatch):
    """With equal scores all 300 samples are effective."""
    monkeypatch.setattr(module, "MIN_EFFECTIVE", 300.0)
    metrics = shortfall(PROMPTS, stored(), evaluation, BETA, lambda s: 0 * s.rewards[:, :300])
    assert "eval/learned_optimum_kl" in metrics


def test_what_is_not_known_is_left_out(evaluation):
    narrow = shortfall(PROMPTS, stored(), evaluation, BETA, lambda s: 40 * s.rewards[:, :300])
    assert narrow.keys() == {"eval/optimum_gap", "eval/optimum_gap_ci95"}, "few effective samples"
    assert shortfall(PROMPTS, stored(90), evaluation, BETA, half_right) == {}
    assert shortfall(PROMPTS, stored(), evaluation, 0.05, half_right) == {}
    assert shortfall(PROMPTS, stored(), evaluation, 0.0, half_right) == {}
    assert shortfall(["another"], stored(), evaluation, BETA, half_right) == {}
    gold = dataclasses.replace(evaluation.policy, gold=evaluation.policy.gold * math.nan)
    unjudged = dataclasses.replace(evaluation, policy=gold)
    assert shortfall(PROMPTS, stored(), unjudged, BETA, half_right) == {}


def test_the_first_samples_of_each_prompt_are_scored(monkeypatch):
    proxy, writer = ProxyReward(toy.reward_model(), toy.tokenizer()), toy.tokenizer()
    monkeypatch.setattr(module, "SCORED", 40)
    score = score_of(proxy, writer, Films(), 2)
    samples = stored(50)
    samples.tokens[1] = 5
    scores = score(samples)
    assert scores.shape == (2, 40)
    expected = [
        proxy([p], [""], completion_ids=[[t]])[0]
        for p, t in zip(samples.prompts, (2, 5), strict=True)
    ]
    assert scores[:, 0] == pytest.approx(expected, abs=1e-6)
    assert np.ptp(scores, axis=1) == pytest.approx([0, 0], abs=1e-6)
    assert score_of(proxy, writer, Films(), 10**9) is None, "a model that is too large"
    for least, is_known in ((40, True), (41, False)):
        monkeypatch.setattr(module, "MIN_SCORED", least)
        assert (score_of(proxy, writer, Films(), 2) is not None) == is_known
