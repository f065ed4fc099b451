"""The pairs of a session: their number, and their scores."""

from __future__ import annotations

import pytest

from align_core.config.messages import plain
from align_core.inference.client import Unanswered
from align_core.votes import statistics
from align_core.votes.sessions import Sessions
from playground.views.rate import ENOUGH
from playground.voting.pairs import PAIRS, SCORED_AT_ONCE, Pairs
from playground.voting.vote_training import HELD_OUT


@pytest.mark.parametrize("task", ENOUGH)
def test_one_rater_alone_can_cast_enough_votes(task):
    """With a quarter of the prompts held out, and one in five votes a tie or "both bad"."""
    pairs = Pairs(helper=None).load(task, f"sft-{task}")
    to_train, _ = statistics.held_out(pairs, HELD_OUT)
    assert len(pairs) == PAIRS[task]
    assert 0.8 * len(to_train) >= ENOUGH[task].enough


class Scorer:
    """A reward model that scores a text by its length, and raises an error while it is `lost`."""

    lost = False

    def score_pairs(self, pairs, reward_model):
        assert len(pairs) <= SCORED_AT_ONCE
        if self.lost and pairs[0]["id"] > SCORED_AT_ONCE:
            raise Unanswered(plain("It was killed."))
        lengths = [(len(pair["first"]), len(pair["second"])) for pair in pairs]
        return [
            {**pair, "first_score": first, "second_score": second}
            for pair, (first, second) in zip(pairs, lengths, strict=True)
        ]


def test_all_pairs_have_scores_of_one_reward_model_or_none(tmp_path):
    sessions, scorer = Sessions(tmp_path), Scorer()
    session = sessions.create("one", "reviews")
    pair = {"prompt": "p", "first": "long", "second": "s"}
    session.add_pairs(pair for _ in range(SCORED_AT_ONCE + 1))
    pairs = Pairs(scorer)
    scorer.lost = True
    pairs.score(session, "reward-reviews")
    pairs._scoring.submit(int).result()  # waits until it was tried
    assert session.scored_by() is None
    assert {pair["first_score"] for pair in session.pairs()} == {None}
    scorer.lost = False
    pairs.score(session, "a-run")
    pairs._scoring.submit(int).result()
    assert session.scored_by() == "a-run"
    assert {(p["first_score"], p["second_score"]) for p in session.pairs()} == {(4.0, 1.0)}
    sessions.close()
    pairs.score(session, "a-run")  # the session was deleted meanwhile
    pairs._scoring.submit(int).result()
