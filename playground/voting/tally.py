"""The counts of a session's votes."""

from __future__ import annotations

from typing import Any

from align_core.config.task_card import card
from align_core.votes import statistics
from align_core.votes.session import Session
from playground.voting.vote_training import HELD_OUT


def tally(session: Session) -> dict[str, Any]:
    """Counts of the votes so far, and the most `disputed` pair.

    `asks` names the reward model whose least certain pairs are drawn: the "embedded" one, one
    trained on the "votes", or "none" if the pairs are not scored yet.
    """
    votes, scored_by = session.votes(), session.scored_by()
    sources = {getattr(card(session.task), "reward_model", None): "embedded", None: "none"}
    stats = statistics.stats(votes)
    return {
        **{name: stats[name] for name in ("votes", "raters", "ties", "both_bad", "agreement")},
        **vote_counts(votes),
        "asks": sources.get(scored_by, "votes"),
        "disputed": next(iter(statistics.disputed(votes, 1)), None),
    }


def vote_counts(votes: statistics.Votes) -> dict[str, int]:
    """How many votes prefer a text, among those to train on (`to_train`) and among those kept for
    evaluation (`held_out`)."""
    parts = zip(("to_train", "held_out"), statistics.held_out(votes, HELD_OUT), strict=True)
    return {
        name: sum(vote["choice"] in statistics.DECIDED for vote in part) for name, part in parts
    }
