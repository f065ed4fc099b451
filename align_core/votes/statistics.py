"""Statistics of votes: agreement of raters with each other, the gold reward and a reward model.

A vote is a row of `Session.votes`. It is decided if it prefers one of the two texts; ties and "both
bad" are only counted. Δr and Δs are the gold reward and score of the preferred text minus those of
the other, in nats.
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
SHOWN = 5  # pairs in a list
_OTHER = {"first": "second", "second": "first"}


def held_out(votes: Votes, share: float) -> tuple[list, list]:
    """Split votes into a training part and an evaluation part with about `share` of the prompts.

    The split is a hash of the prompt, so that it does not change when votes are added.
    """
    parts: tuple[list, list] = ([], [])
    for vote in votes:
        digest = hashlib.sha256(vote["prompt"].encode()).digest()
        parts[int.from_bytes(digest[:8]) < share * 2**64].append(vote)
    return parts


def stats(votes: Votes) -> dict[str, Any]:
    """Counts of votes and raters; agreement of raters with each other and with the gold reward.

    `agreement`: share of equal votes among the `compared` pairs of decided votes on the same texts.
    `gold_agreement`: share of decided votes for the text of higher gold reward, and
    `gold_agreement_expected`: the same for the task's rater, σ(Δr), on these pairs.
    `left_share`: share of decided votes for the text on the left; `left_share_ci95` is half the
    width of its 95% interval.
    `loudest_share`: share of all votes that the busiest rater cast.
    Each number is None without such votes.
    """
    decided = [vote for vote in votes if vote["choice"] in DECIDED]
    counts = Counter(vote["choice"] for vote in votes)
    for_left = [vote["choice"] == vote["left"] for vote in decided if vote["left"] is not None]
    gold = [margin for vote in decided if (margin := _margin(vote, "reward"))]
    same, compared = _agreement(decided)
    loudest = max(Counter(vote["rater"] for vote in votes).values(), default=0)
    left = _mean(for_left)
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
        "left_share_ci95": None
        if left is None
        else 1.96 * math.sqrt(left * (1 - left) / len(for_left)),
        "loudest_share": loudest / len(votes) if votes else None,
    }


def with_majority(votes: Votes) -> dict[str, tuple[int, int]]:
    """How often each rater chose the text that most of the others prefer: rater -> (agreed,
    compared). `compared` is the number of the rater's decided votes on pairs on which the others
    have a majority, and `agreed` the number of those that agree with it."""
    agreements: dict[str, tuple[int, int]] = {}
    for pair in _by_pair([vote for vote in votes if vote["choice"] in DECIDED]):
        counts = _counts(pair)
        for vote in pair:
            choice = vote["choice"]
            with_rater, against = counts[choice] - 1, counts[_OTHER[choice]]
            if with_rater != against:
                agreed, compared = agreements.get(vote["rater"], (0, 0))
                agreements[vote["rater"]] = agreed + (with_rater > against), compared + 1
    return agreements


def disputed(votes: Votes, max_rows: int = SHOWN) -> list[dict[str, Any]]:
    """The pairs with the most votes against the majority: both texts and the votes for each; at
    most `max_rows` of them."""
    rows = [
        _summary(pair) for pair in _by_pair(votes) if min(_counts(pair)[side] for side in DECIDED)
    ]
    rows.sort(key=lambda row: (-min(row["for_first"], row["for_second"]), row["pair"]))
    return rows[:max_rows]


def against_gold(votes: Votes, max_rows: int = SHOWN) -> list[dict[str, Any]]:
    """At most `max_rows` pairs whose majority contradicts the gold reward, by decreasing difference
    of reward.

    `gold_margin` is the gold reward of the first text minus that of the second, in nats.
    """
    rows = []
    for pair in _by_pair(votes):
        row = _summary(pair)
        margin = row["gold_margin"]
        if margin is not None and margin * (row["for_first"] - row["for_second"]) < 0:
            rows.append(row)
    rows.sort(key=lambda row: (-abs(row["gold_margin"]), row["pair"]))
    return rows[:max_rows]


def with_scores(votes: Votes, scored: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The votes with the scores of their pairs; `scored` are pairs with `id`, `first_score` and
    `second_score`."""
    names = "first_score", "second_score"
    scores = {pair["id"]: {name: pair[name] for name in names} for pair in scored}
    return [{**vote, **scores[vote["pair"]]} for vote in votes]


def reward_model_metrics(votes: Votes) -> dict[str, Any]:
    """The agreement of a reward model's scores with votes.

    `accuracy`: share of decided votes for the text of higher score (equal scores count half).
    `log_loss`: the mean of −log σ(Δs), in nats; guessing gives log 2 = 0.693. `gold_accuracy`
    and `gold_log_loss` are the same for the gold reward. None without such votes.
    """
    decided = [vote for vote in votes if vote["choice"] in DECIDED]
    report: dict[str, Any] = {"votes": len(decided)}
    for prefix, number in (("", "score"), ("gold_", "reward")):
        margins = [m for vote in decided if (m := _margin(vote, number)) is not None]
        report[f"{prefix}accuracy"] = _mean([(m > 0) + 0.5 * (m == 0) for m in margins])
        report[f"{prefix}log_loss"] = _mean([-_log_sigmoid(m) for m in margins])
    return report


def _agreement(decided: Votes) -> tuple[int, int]:
    """The number of pairs of equal votes, and of all pairs, of decided votes on the same texts."""
    same = compared = 0
    for pair in _by_pair(decided):
        counts = _counts(pair)
        same += sum(math.comb(counts[side], 2) for side in DECIDED)
        compared += math.comb(len(pair), 2)
    return same, compared


def _summary(pair: Votes) -> dict[str, Any]:
    """A pair with the numbers of votes for each text."""
    vote, counts = pair[0], _counts(pair)
    margin = _margin({**vote, "choice": "first"}, "reward")
    shown = {name: vote[name] for name in ("pair", "prompt", "first", "second")}
    tallies = {f"for_{side}": counts[side] for side in DECIDED}
    return {**shown, **tallies, "ties": counts["tie"], "gold_margin": margin}


def _by_pair(votes: Votes) -> list[list[Mapping[str, Any]]]:
    ordered = sorted(votes, key=lambda vote: vote["pair"])
    return [list(group) for _, group in groupby(ordered, key=lambda vote: vote["pair"])]


def _counts(pair: Votes) -> Counter:
    return Counter(vote["choice"] for vote in pair)


def _margin(vote: Mapping[str, Any], number: str) -> float | None:
    """`number` ("reward" or "score") of the preferred text minus the other's; None if unknown."""
    chosen = vote[f"{vote['choice']}_{number}"]
    rejected = vote[f"{_OTHER[vote['choice']]}_{number}"]
    return None if chosen is None or rejected is None else chosen - rejected


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _log_sigmoid(x: float) -> float:
    return min(x, 0.0) - math.log1p(math.exp(-abs(x)))
