"""The distance from the optimum, from two evaluations and the two halves of the stored samples."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from align_core.evaluation.distance import Estimate, Texts, optimum_gap, optimum_kl
from align_core.evaluation.optimum_distance import UNKNOWN, Sides, is_known, optimum_distance
from align_core.optimum import ReferenceSamples
from tests import toy
from tests.evaluation.toy_evaluator import PROMPTS, evaluator

BETA = 2.0


def stored(samples: int = 600) -> ReferenceSamples:
    """Samples for the last and the first prompt; rewards of even and odd places differ."""
    shape = 2, samples
    rewards = np.random.default_rng(0).normal(size=shape) + np.arange(samples) % 2
    ones = np.ones(shape, np.uint8)
    return ReferenceSamples([PROMPTS[2], PROMPTS[0]], ones[..., None], ones, ones > 0, rewards)


@pytest.fixture(scope="module")
def evaluations():
    """Of one policy, with different noise."""
    return [evaluator(toy.policy(1), seed=seed)(toy.policy(0)) for seed in (0, 1)]


def texts(evaluation) -> Texts:
    """The texts of the prompts 0 and 2 in this order, from sums over their tokens."""
    pairs = zip(evaluation.logp, evaluation.ref_logp, strict=True)
    ratios = [math.fsum(own) - math.fsum(reference) for own, reference in pairs]
    columns = evaluation.policy.gold, evaluation.kl, ratios, evaluation.reference.gold
    return Texts(*(np.asarray(column).reshape(3, 4)[[0, 2]] for column in columns))


def test_the_two_sides_share_neither_texts_nor_samples(evaluations):
    first, second = evaluations
    rewards = stored().rewards[::-1]
    gap = optimum_gap(texts(first), rewards[:, ::2], BETA)
    kl = optimum_kl(texts(second), rewards[:, 1::2], BETA)
    assert optimum_distance(PROMPTS, stored(), BETA, first, second) == pytest.approx(
        {
            "optimum_gap": gap.value,
            "optimum_gap_ci95": 1.96 * gap.standard_error,
            "optimum_kl": kl.value,
            "optimum_kl_ci95": 1.96 * kl.standard_error,
            "optimum_beta": BETA,
            "optimum_prompts": 2,
        },
        abs=1e-12,
    )


def test_a_distance_that_is_not_known_is_null(evaluations):
    first, second = evaluations
    unknown = UNKNOWN | {"optimum_beta": BETA, "optimum_prompts": 2}
    assert optimum_distance(PROMPTS, stored(190), BETA, first, second) == unknown, "95 in a half"
    few = optimum_distance(PROMPTS, stored(), 0.05, first, second)
    assert few["optimum_gap"] is None, "few effective samples at a low β"
    known = [(PROMPTS, stored(), BETA), (PROMPTS, stored(190), BETA), (PROMPTS, stored(), 0.05)]
    assert [is_known(*each) for each in known] == [True, False, False]
    assert not is_known(["another"], stored(), BETA)
    gold = dataclasses.replace(first.policy, gold=first.policy.gold * math.nan)
    unjudged = dataclasses.replace(first, policy=gold)
    assert optimum_distance(PROMPTS, stored(), BETA, unjudged, second) == unknown
    assert optimum_distance(["another"], stored(), BETA, first, second) == UNKNOWN


def test_one_text_a_prompt_is_too_few():
    single = [evaluator(toy.policy(1), seed=seed, samples=1)(toy.policy(0)) for seed in (0, 1)]
    assert optimum_distance(PROMPTS, stored(), BETA, *single)["optimum_kl"] is None


def test_the_heaviest_prompts_are_chosen_by_one_side_and_weighed_by_the_other():
    """KL 1, 5, 1, 3 in sum 10: 5 is half of it, 5 + 3 are 0.7 of it and more; of the gap's 20 they
    have 6 and 6 + 4."""
    gap = Estimate(np.array([8.0, 6.0, 2.0, 4.0]), 0.1)
    kl = Estimate(np.array([1.0, 5.0, 1.0, 3.0]), 0.1)
    sides = Sides([10, 20, 30, 40], gap, kl)
    assert sides.heaviest(0.5) == ([20], 6 / 20)
    assert sides.heaviest(0.7) == ([20, 40], 10 / 20)
    assert sides.heaviest(0.85) == ([20, 40, 10], 18 / 20)
