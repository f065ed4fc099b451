"""Simulated raters choose by their stated rules."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from align_core.votes.session import left_of
from align_core.votes.simulated_raters import CROWDS, LOUD_SHARE, Rater, Vote, fill, simulate

SIGMA_1 = 0.7310586  # σ(1)


def share_left(rater: Rater, left: float, right: float) -> float:
    rng = random.Random(0)
    return sum(rater.choose(left, right, rng) == "left" for _ in range(20_000)) / 20_000


def pairs(count: int, first: float = 0.0, second: float = 0.0) -> list[dict]:
    return [
        {"prompt": "p", "first": f"one two {i}", "second": f"one {i}"}
        | {"first_reward": first, "second_reward": second}
        for i in range(count)
    ]


def test_the_tasks_rater_prefers_by_sigmoid_of_the_difference():
    own = CROWDS["task"].rater
    assert own == Rater()
    assert share_left(own, 2.0, 1.0) == pytest.approx(SIGMA_1, abs=0.01)
    assert share_left(own, 0.0, 40.0) == 0
    assert own.utility("any text of any length", 1.25) == 1.25


def test_each_weakness_has_its_stated_effect():
    # 0.4 coin tosses: 0.4 / 2 + 0.6 σ(1) = 0.63864
    assert share_left(CROWDS["noisy"].rater, 1.0, 0.0) == pytest.approx(0.63864, abs=0.01)
    assert share_left(CROWDS["leftish"].rater, 0.0, 0.0) == pytest.approx(SIGMA_1, abs=0.01)
    assert CROWDS["wordy"].rater.utility(" three words here", 0.5) == pytest.approx(0.5 + 3 * 0.3)
    assert CROWDS["loud"].loud.utility(" three words here", 9.0) == pytest.approx(-1.5)
    undecided, rng = CROWDS["undecided"].rater, random.Random(0)
    assert undecided.choose(0.9, 0.0, rng) == "tie"
    assert undecided.choose(1.1, 0.0, rng) in ("left", "right")
    assert undecided.choose(-1.1, -5.0, rng) == "bad"
    assert undecided.choose(-0.9, -5.0, rng) in ("left", "right")
    assert undecided.choose(1.0, 0.0, rng) in ("left", "right"), "a nat apart, not within one"
    assert undecided.choose(-1.0, -5.0, rng) in ("left", "right"), "at −1 nat, not below"


def test_equal_texts_are_no_tie_for_a_rater_without_ties():
    assert share_left(Rater(), 1.0, 1.0) == pytest.approx(0.5, abs=0.01)


def test_a_choice_is_stored_in_the_order_of_the_pair():
    votes = simulate(pairs(400, first=40.0), CROWDS["task"], 400, 2, 0.0, seed=0)
    assert {vote.choice for vote in votes} == {"first"}
    assert Counter(vote.left for vote in votes)["first"] == pytest.approx(200, abs=40)  # 4 σ


def test_position_bias_is_visible_in_the_votes_for_the_left():
    votes = simulate(pairs(4000), CROWDS["leftish"], 4000, 2, 0.0, seed=0)
    left = sum(vote.choice == vote.left for vote in votes) / 4000
    assert left == pytest.approx(SIGMA_1, abs=0.03)
    assert sum(vote.choice == "first" for vote in votes) / 4000 == pytest.approx(0.5, abs=0.03)
    assert Counter(vote.rater for vote in votes)[0] == pytest.approx(2000, abs=130)  # 4 σ


def test_no_rater_votes_twice_on_a_pair_and_all_pairs_are_all_there_is():
    votes = simulate(pairs(10), CROWDS["noisy"], 50, 3, 0.0, seed=0)
    assert len(votes) == 30
    assert len({(vote.rater, vote.pair) for vote in votes}) == 30


def test_the_loud_rater_casts_their_share():
    votes = simulate(pairs(3000), CROWDS["loud"], 3000, 5, 0.0, seed=0)
    by_rater = Counter(vote.rater for vote in votes)
    assert by_rater[0] / 3000 == pytest.approx(LOUD_SHARE, abs=0.03)
    assert by_rater[4] / 3000 == pytest.approx((1 - LOUD_SHARE) / 4, abs=0.02)
    two = simulate(pairs(900), CROWDS["loud"], 900, 2, 0.0, seed=0)
    assert Counter(vote.rater for vote in two)[0] / 900 == pytest.approx(LOUD_SHARE, abs=0.06)
    assert len(simulate(pairs(3), CROWDS["loud"], 3, 1, 0.0, seed=0)) == 3, "loud, and alone"
    for vote in votes[:200]:
        assert isinstance(vote, Vote)
    shorter = [vote.choice == "second" for vote in votes if vote.rater == 0]
    # σ(0.5): one word shorter.
    assert sum(shorter) / len(shorter) == pytest.approx(0.6225, abs=0.04)


def test_active_votes_are_on_the_least_certain_pairs():
    scored = [
        {**pair, "first_score": float(row), "second_score": 60.0}
        for row, pair in enumerate(pairs(100))
    ]
    votes = simulate(scored, CROWDS["task"], 10, 1, 1.0, seed=0)
    assert all(50 <= vote.pair <= 70 for vote in votes)
    assert len({vote.pair for vote in votes}) == 10


def test_the_seed_decides():
    some = simulate(pairs(50), CROWDS["noisy"], 40, 3, 0.0, seed=1)
    assert some == simulate(pairs(50), CROWDS["noisy"], 40, 3, 0.0, seed=1)
    assert some != simulate(pairs(50), CROWDS["noisy"], 40, 3, 0.0, seed=2)


def test_simulated_raters_of_a_session_are_new(sessions):
    session = sessions.create("talk", "reviews")
    session.add_pairs(pairs(20, first=40.0))
    assert fill(session, "task", 30, 4, 0.0, seed=0) == 30
    votes = session.votes()
    assert {vote["kind"] for vote in votes} == {"task"}
    assert {vote["choice"] for vote in votes} == {"first"}
    assert len({vote["rater"] for vote in votes}) == 4
    assert {left_of(vote["rater"], vote["pair"]) == vote["left"] for vote in votes} == {True, False}
    assert fill(session, "task", 30, 4, 0.0, seed=0) == 30, "new raters may rate all again"
