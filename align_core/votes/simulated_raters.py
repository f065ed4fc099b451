"""Simulated raters: the task's own rater, and raters with biases that people have.

A rater chooses by Bradley-Terry (arXiv 2305.18290, Eq. 1): left with probability σ(u_left −
u_right), for utilities u in nats. The utility of the task's own rater is the gold reward.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from align_core.tasks.rater import preference
from align_core.votes import pair_selection
from align_core.votes.session import Session

RATERS = 8  # the default number in a crowd
LOUD_SHARE = 2 / 3  # share of all votes that the loud rater casts


@dataclass(frozen=True)
class Rater:
    """A simulated rater; by default it chooses as the task's own rater does."""

    gold: float = 1.0  # nats of utility for each nat of gold reward
    per_word: float = 0.0  # nats for each word of the text
    for_left: float = 0.0  # nats for the text on the left
    coin_tosses: float = 0.0  # share of votes that are random
    same: float = 0.0  # nats; a smaller difference is a tie
    bad: float = -math.inf  # nats; if both utilities are below this, both texts are bad

    def utility(self, text: str, gold_reward: float) -> float:
        """The utility of a text to this rater, in nats."""
        return self.gold * gold_reward + self.per_word * len(text.split())

    def choose(self, left: float, right: float, rng: random.Random) -> str:
        """ "left", "right", "tie" or "bad", from the utilities of the two texts."""
        if rng.random() < self.coin_tosses:
            return rng.choice(("left", "right"))
        if max(left, right) < self.bad:
            return "bad"
        margin = left - right + self.for_left
        if abs(margin) < self.same:
            return "tie"
        return "left" if rng.random() < preference(margin) else "right"


@dataclass(frozen=True)
class Crowd:
    """Raters of one kind, with an optional `loud` rater who casts LOUD_SHARE of the votes."""

    about: str
    rater: Rater
    loud: Rater | None = None


CROWDS = {
    "task": Crowd("prefer a text with probability σ(its lead in gold reward)", Rater()),
    "noisy": Crowd("toss a coin for 4 votes in 10", Rater(coin_tosses=0.4)),
    "wordy": Crowd("like a text 0.3 nats more for each word", Rater(per_word=0.3)),
    "leftish": Crowd("like the text on the left 1 nat more", Rater(for_left=1.0)),
    "undecided": Crowd(
        "call texts within 1 nat a tie, and both bad if both are below -1 nat",
        Rater(same=1.0, bad=-1.0),
    ),
    "loud": Crowd(
        "prefer as the task's own rater does, but one of them casts 2 votes in 3 and likes only "
        "short texts",
        Rater(),
        loud=Rater(gold=0.0, per_word=-0.5),
    ),
}


@dataclass(frozen=True)
class Vote:
    """A vote; rater and pair count from 0, and `choice` and `left` name texts of the pair."""

    rater: int
    pair: int
    choice: str  # first, second, tie or bad
    left: str  # first or second


def simulate(
    pairs: Sequence[Mapping[str, Any]],
    crowd: Crowd,
    votes: int,
    raters: int,
    active_share: float,
    seed: int,
) -> list[Vote]:
    """`votes` votes of `raters` raters, at most one for each rater and pair, so possibly fewer.

    A pair has first, second, their gold rewards, and for active draws their scores. The loud rater
    of a crowd is number 0.
    """
    rng = random.Random(seed)
    margins = {row: _margin(pair) for row, pair in enumerate(pairs)}
    unrated = [dict(margins) for _ in range(raters)]
    weights = [1.0] * raters
    if crowd.loud and raters > 1:
        weights = [LOUD_SHARE * (raters - 1) / (1 - LOUD_SHARE)] + [1.0] * (raters - 1)
    cast: list[Vote] = []
    while len(cast) < votes and any(unrated):
        (number,) = rng.choices(range(raters), weights)
        if not unrated[number]:
            continue
        row = pair_selection.draw(unrated[number], active_share, rng)
        del unrated[number][row]
        rater = crowd.loud if crowd.loud and number == 0 else crowd.rater
        cast.append(Vote(number, row, *_choice(rater, pairs[row], rng)))
    return cast


def fill(
    session: Session, crowd: str, votes: int, raters: int, active_share: float, seed: int
) -> int:
    """Let new raters of a crowd vote on the session's pairs; returns the number of votes."""
    pairs = session.pairs()
    cast = simulate(pairs, CROWDS[crowd], votes, raters, active_share, seed)
    tokens = {number: session.join(crowd) for number in sorted({vote.rater for vote in cast})}
    session.record(
        (tokens[vote.rater], pairs[vote.pair]["id"], vote.choice, vote.left) for vote in cast
    )
    return len(cast)


def _choice(rater: Rater, pair: Mapping[str, Any], rng: random.Random) -> tuple[str, str]:
    """The choice ("first", "second", "tie" or "bad"), and which text is on the left."""
    sides = rng.choice((("first", "second"), ("second", "first")))
    left, right = (rater.utility(pair[side], pair[f"{side}_reward"]) for side in sides)
    choice = rater.choose(left, right, rng)
    return dict(zip(("left", "right"), sides, strict=True)).get(choice, choice), sides[0]


def _margin(pair: Mapping[str, Any]) -> float | None:
    if pair.get("first_score") is None:
        return None
    return pair["first_score"] - pair["second_score"]
