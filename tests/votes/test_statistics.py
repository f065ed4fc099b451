"""Statistics of votes that can be counted by hand."""

from __future__ import annotations

import math

import pytest

from align_core.votes import statistics


def vote(pair: int, choice: str, rater: str = "a", **more) -> dict:
    return {
        "pair": pair, "choice": choice, "rater": rater, "kind": "person", "left": "first",
        "prompt": f"p{pair}", "first": f"a{pair}", "second": f"b{pair}",
        "first_reward": 1.0, "second_reward": 0.0, "first_score": None, "second_score": None,
    } | more  # fmt: skip


def test_raters_agree_as_often_as_two_of_their_votes_are_the_same():
    votes = [vote(1, "first", "a"), vote(1, "first", "b"), vote(1, "second", "c")]
    votes += [vote(2, "second", "a"), vote(2, "second", "b"), vote(2, "tie", "c")]
    votes += [vote(3, "first", "a")]
    report = statistics.stats(votes)
    # Pair 1: of 3 pairs of votes, 1 agrees. Pair 2: 1 of 1; the tie does not count. Pair 3: none.
    assert (report["agreement"], report["compared"]) == (2 / 4, 4)
    assert (report["votes"], report["raters"], report["pairs"], report["ties"]) == (7, 3, 3, 1)
    assert report["loudest_share"] == 3 / 7


def test_agreement_with_gold_is_reported_with_the_expected_value():
    votes = [vote(1, "first"), vote(2, "second"), vote(3, "first"), vote(4, "bad")]
    votes += [vote(5, "first", first_reward=0.0), vote(6, "first", first_reward=None)]
    report = statistics.stats(votes)
    # Pairs with equal or unknown gold rewards do not count.
    assert report["gold_agreement"] == 2 / 3
    assert report["gold_agreement_expected"] == pytest.approx(1 / (1 + math.exp(-1)))
    assert report["both_bad"] == 1


def test_position_bias_is_the_share_of_the_left():
    lefts = ("first", "first", "second", "first", None)
    votes = [vote(pair, "first", left=left) for pair, left in enumerate(lefts)]
    report = statistics.stats(votes + [vote(9, "tie")])
    assert report["left_share"] == 3 / 4
    assert report["left_share_ci95"] == pytest.approx(1.96 * math.sqrt(0.75 * 0.25 / 4))


def test_without_votes_statistics_are_none_and_no_token_is_shown():
    stats = statistics.stats([])
    for name in ("agreement", "gold_agreement", "left_share", "left_share_ci95", "loudest_share"):
        assert stats[name] is None
    assert stats["kinds"] == {}
    votes = [vote(1, "first", "secret-token"), vote(1, "second", "other-token")]
    for report in (
        statistics.stats(votes),
        statistics.disputed(votes),
        statistics.against_gold(votes),
    ):
        assert "token" not in str(report)


def test_a_rater_is_compared_with_the_majority_of_the_others():
    votes = [vote(1, "first", "a"), vote(1, "first", "b"), vote(1, "second", "c")]
    votes += [vote(2, "second", "a"), vote(2, "first", "b"), vote(2, "tie", "c")]
    votes += [vote(3, "first", "a"), vote(4, "first", "a"), vote(4, "bad", "b")]
    # Pair 1: the others of a and of b are split, both others of c chose the first. Pair 2: a and b
    # each disagree with the other; a tie does not count. Pairs 3 and 4: nobody else has chosen.
    assert statistics.with_majority(votes) == {"a": (0, 1), "b": (0, 1), "c": (0, 1)}
    votes.append(vote(1, "first", "d"))
    # Now a, b and d have two for the first and one for the second beside them.
    agreements = {"a": (1, 2), "b": (1, 2), "c": (0, 1), "d": (1, 1)}
    assert statistics.with_majority(votes) == agreements


def test_the_most_disputed_have_the_largest_minority():
    votes = [vote(1, "first", rater) for rater in "abcd"]
    votes += [vote(2, "first", "a"), vote(2, "second", "b")]
    votes += [vote(3, "first", rater) for rater in "ab"]
    votes += [vote(3, "second", rater) for rater in "cd"] + [vote(3, "tie", "e")]
    report = statistics.disputed(votes)
    assert [row["pair"] for row in report] == [3, 2]
    assert (report[0]["for_first"], report[0]["for_second"], report[0]["ties"]) == (2, 2, 1)
    assert statistics.disputed(votes, max_rows=1) == report[:1]


def test_pairs_on_which_most_disagree_with_the_gold_reward():
    votes = [vote(1, "second"), vote(2, "second", first_reward=5.0), vote(3, "first")]
    votes += [vote(2, "second", "b", first_reward=5.0), vote(2, "first", "c", first_reward=5.0)]
    votes += [vote(4, "first", "a"), vote(4, "second", "b")]
    report = statistics.against_gold(votes)
    assert [(row["pair"], row["gold_margin"]) for row in report] == [(2, 5.0), (1, 1.0)]


def test_a_reward_model_is_evaluated_on_votes():
    scored = [{"id": 1, "first_score": 2.0, "second_score": 0.0, "more": 1}]
    scored += [{"id": 2, "first_score": 1.0, "second_score": 1.0}]
    votes = [vote(1, "first"), vote(1, "second", "b"), vote(2, "second"), vote(2, "tie", "b")]
    report = statistics.reward_model_metrics(statistics.with_scores(votes, scored))
    assert report["votes"] == 3
    assert report["accuracy"] == pytest.approx((1 + 0 + 0.5) / 3)
    losses = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2)), math.log(2)
    assert report["log_loss"] == pytest.approx(sum(losses) / 3)
    assert report["gold_accuracy"] == pytest.approx(1 / 3)
    assert statistics.reward_model_metrics(votes)["accuracy"] is None
    assert statistics.reward_model_metrics([])["gold_log_loss"] is None


def test_a_prompt_stays_held_out():
    votes = [vote(pair, "first") for pair in range(1000)]
    kept, out = statistics.held_out(votes, 0.2)
    assert len(out) == pytest.approx(200, abs=51)  # 4 σ
    assert sorted(vote["pair"] for vote in kept + out) == list(range(1000))
    some = statistics.held_out(votes[:300] + [vote(7, "second", "b")], 0.2)[1]
    assert {vote["pair"] for vote in some} == {vote["pair"] for vote in out if vote["pair"] < 300}
    assert statistics.held_out(votes, 0.0)[1] == []
