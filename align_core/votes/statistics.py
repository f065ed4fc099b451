"""What votes tell: about the raters, about the gold reward, and about a reward model.

A vote is a row of `Session.votes`. It is decided where it prefers one of the two texts; ties
and "both bad" are counted, and enter nothing else. Differences r and s of a pair are those of the
text that a vote prefers against the other, in nats.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from align_core.tasks.rater import preference

Votes = Sequence[Mapping[str, Any]]
DECIDED = ("first", "second")
SHOWN = 5  # disputed pairs, and examples
_OTHER = {"first": "second", "second": "first"}


def held_out(votes: Votes, share: float) -> tuple[list, list]:
    """Votes to train on, and votes to measure on: those on about this share of the prompts.

    What becomes of a prompt follows from its text, so that it stays where it is when votes come.
    """
    parts: tuple[list, list] = ([], [])
    for vote in votes:
        digest = hashlib.sha256(vote["prompt"].encode()).digest()
        parts[int.from_bytes(digest[:8]) < share * 2**64].append(vote)
    return parts


def stats(votes: Votes) -> dict[str, Any]:
    """Who voted, and how far raters agree: with each other, with the gold reward, on a side.

    `agreement`: of two decided votes on one pair, how often they are the same (of `compared` such
    twos). `gold_agreement`: how often a decided vote prefers the text of higher gold reward;
    `gold_agreement_expected`: what the task's rater, σ(Δr), would come to on these pairs.
    `left_share`: of decided votes, for the text on the left, `left_share_ci95` its half-width.
    `loudest_share`: of all votes, cast by one rater. None: nothing to measure it on.
    """
    decided = [vote for vote in votes if vote["choice"] in DECIDED]
    counts = Counter(vote["choice"] for vote in votes)
    sided = [vote["choice"] == vote["left"] for vote in decided if vote["left"] is not None]
    gold = [margin for vote in decided if (margin := _margin(vote, "reward"))]
    same, compared = _agreement(decided)
    loudest = max(Counter(vote["rater"] for vote in votes).values(), default=0)
    left = _mean(sided)
    return {
        "votes": len(votes),
        "raters": len({vote["rater"] for vote in votes}),
        "pairs": len({vote["pair"] for vote in votes}),
        "kinds": dict(Counter(vote["kind"] for vote in votes)),
        "ties": counts["tie"],
        "both_bad": counts["bad"],
        "agreement": same / compared if compared else None,
        "compared": compared,
        "gold_agreement": _mean([margin > 0 for margin in gold]),
        "gold_agreement_expected": _mean([preference(abs(margin)) for margin in gold]),
        "left_share": left,
        "left_share_ci95": 1.96 * math.sqrt(left * (1 - left) / len(sided)) if sided else None,
        "loudest_share": loudest / len(votes) if votes else None,
    }


def disputed(votes: Votes, most: int = SHOWN) -> list[dict[str, Any]]:
    """The pairs on which most votes go against the majority: both texts and the votes for each."""
    found = [
        _opinion(pair) for pair in _by_pair(votes) if min(_counts(pair)[side] for side in DECIDED)
    ]
    found.sort(key=lambda one: (-min(one["for_first"], one["for_second"]), one["pair"]))
    return found[:most]


def against_gold(votes: Votes, most: int = SHOWN) -> list[dict[str, Any]]:
    """The pairs on which the majority differs from the gold reward, the greatest difference first.

    `gold_margin` is that of the first text over the second, in nats.
    """
    found = []
    for pair in _by_pair(votes):
        one = _opinion(pair)
        margin = one["gold_margin"]
        if margin is not None and margin * (one["for_first"] - one["for_second"]) < 0:
            found.append(one)
    found.sort(key=lambda one: (-abs(one["gold_margin"]), one["pair"]))
    return found[:most]


def with_scores(votes: Votes, scored: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The votes with what a newer reward model makes of their pairs, found by their `id`."""
    names = "first_score", "second_score"
    scores = {pair["id"]: {name: pair[name] for name in names} for pair in scored}
    return [{**vote, **scores[vote["pair"]]} for vote in votes]


def reward_model_metrics(votes: Votes) -> dict[str, Any]:
    """How well the scores of a reward model foretell votes that it was not trained on.

    `accuracy`: how often the preferred text has the higher score (equal scores count half).
    `log_loss`: the mean of −log σ(s), nats a vote; a coin has log 2 = 0.693. Beside them
    `gold_accuracy` and `gold_log_loss`, the same of the gold reward. None: no such votes.
    """
    decided = [vote for vote in votes if vote["choice"] in DECIDED]
    report: dict[str, Any] = {"votes": len(decided)}
    for name, of in (("", "score"), ("gold_", "reward")):
        margins = [m for vote in decided if (m := _margin(vote, of)) is not None]
        report[f"{name}accuracy"] = _mean([(m > 0) + 0.5 * (m == 0) for m in margins])
        report[f"{name}log_loss"] = _mean([-_log_sigmoid(m) for m in margins])
    return report


def _agreement(decided: Votes) -> tuple[int, int]:
    """Of all twos of decided votes on one pair: how many are the same, and how many there are."""
    same = compared = 0
    for pair in _by_pair(decided):
        counts = _counts(pair)
        same += sum(math.comb(counts[side], 2) for side in DECIDED)
        compared += math.comb(len(pair), 2)
    return same, compared


def _opinion(pair: Votes) -> dict[str, Any]:
    """One pair and how the votes on it fell."""
    one, counts = pair[0], _counts(pair)
    margin = _margin({**one, "choice": "first"}, "reward")
    shown = {name: one[name] for name in ("pair", "prompt", "first", "second")}
    tallies = {f"for_{side}": counts[side] for side in DECIDED}
    return {**shown, **tallies, "ties": counts["tie"], "gold_margin": margin}


def _by_pair(votes: Votes) -> list[list[Mapping[str, Any]]]:
    ordered = sorted(votes, key=lambda vote: vote["pair"])
    return [list(group) for _, group in groupby(ordered, key=lambda vote: vote["pair"])]


def _counts(pair: Votes) -> Counter:
    return Counter(vote["choice"] for vote in pair)


def _margin(vote: Mapping[str, Any], of: str) -> float | None:
    """Of the preferred text over the other; None where the pair has no such numbers."""
    ours, theirs = vote[f"{vote['choice']}_{of}"], vote[f"{_OTHER[vote['choice']]}_{of}"]
    return None if ours is None or theirs is None else ours - theirs


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _log_sigmoid(x: float) -> float:
    return min(x, 0.0) - math.log1p(math.exp(-abs(x)))
