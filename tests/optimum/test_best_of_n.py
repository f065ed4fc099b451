"""Best of n by order statistics equals enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from align_core.optimum import Frontier, best_of_n
from tests.optimum.samples import bell


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
