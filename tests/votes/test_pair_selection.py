"""The selection of the next pair to rate."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from align_core.votes.pair_selection import LEAST_SURE, draw, information


def test_the_information_of_a_pair_is_p_times_one_minus_p():
    assert information(0.0) == 0.25
    assert information(2.0) == pytest.approx(0.880797 * 0.119203, abs=1e-6)  # σ(2) = 0.880797
    assert information(-2.0) == information(2.0)
    assert information(0.25) > 0.98 * 0.25


def test_active_draws_come_from_the_least_sure_tenth():
    margins = {key: float(key - 50) for key in range(100)}  # |d|: 0, 1, 1, 2, 2, …
    draws = Counter(draw(margins, 1.0, random.Random(seed)) for seed in range(500))
    assert LEAST_SURE == 0.1
    assert set(draws) == {45, 46, 47, 48, 49, 50, 51, 52, 53, 54}  # -5 comes before 5


def test_the_share_is_of_active_draws():
    margins = {key: 0.0 if key < 10 else 5.0 for key in range(100)}
    rng = random.Random(0)
    unsure = sum(draw(margins, 0.7, rng) < 10 for _ in range(4000)) / 4000
    assert unsure == pytest.approx(0.7 + 0.3 * 0.1, abs=0.02)
    unsure = sum(draw(margins, 0.0, rng) < 10 for _ in range(4000)) / 4000
    assert unsure == pytest.approx(0.1, abs=0.02)


def test_an_unscored_pair_is_drawn_at_random():
    rng = random.Random(0)
    assert {draw({1: None, 2: None}, 1.0, rng) for _ in range(50)} == {1, 2}
    assert {draw({1: None, 2: 3.0}, 1.0, rng) for _ in range(50)} == {2}
    assert {draw({1: None, 2: 3.0}, 0.0, rng) for _ in range(50)} == {1, 2}


def test_the_random_number_decides_and_an_empty_draw_is_an_error():
    margins = {key: key / 7 for key in range(100)}
    assert draw(margins, 0.5, random.Random(3)) == draw(margins, 0.5, random.Random(3))
    with pytest.raises(IndexError):
        draw({}, 0.5, random.Random(0))
