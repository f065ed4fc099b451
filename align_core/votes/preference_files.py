"""Votes to and from files in TRL's preference format, as used by `train --preferences`.

As a pair, a decided vote is a row of prompt, chosen, rejected, and whether each of the two texts
ended by itself. A tie is omitted, or counts as one vote for each text, which pulls the two scores
together; a vote "both bad" is always omitted. As ratings, a vote is two rows of prompt, completion
and label: after a tie both texts are desirable, after "both bad" neither is.
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError, option_error
from align_core.config.messages import Message, plain
from align_core.config.methods import methods
from align_core.config.run_config import defaults
from align_core.config.task_card import known_card
from align_core.data.preference_files import read_preferences, stored_pairs
from align_core.tasks import get_task
from align_core.votes import simulated_raters
from align_core.votes.session import Session

TIES = ("omit", "both")
IMPORTED = "imported"  # the kind of raters whose votes are from a file
# The batch size of runs on few votes, and the passes over the votes, by the kind of model. With 100
# votes, more passes do not improve a reward model on held-out pairs, and fewer move DPO too little.
BATCH = {"reward model": 32, "policy": 16}
PASSES = {"reward model": 2, "policy": 8}
EXPECTED = "a new file that ends in .jsonl or .parquet, in a folder that can be written"


def preferences(votes: Iterable[Mapping[str, Any]], ties: str = "omit") -> list[dict[str, Any]]:
    """The rows of votes, as `Session.votes` returns them; `ties` is one of TIES."""
    rows = []
    for vote in votes:
        if vote["choice"] in ("first", "second"):
            rows.append(_row(vote, vote["choice"]))
        elif vote["choice"] == "tie" and ties == "both":
            rows += [_row(vote, "first"), _row(vote, "second")]
    return rows


def ratings(votes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Both texts of each vote as rows with a label, true if the text is desirable."""
    desirable = {"first": ("first",), "second": ("second",), "tie": ("first", "second"), "bad": ()}
    return [
        {
            "prompt": vote["prompt"],
            "completion": vote[side],
            "completion_ended": bool(vote[f"{side}_ended"]),
            "label": side in desirable[vote["choice"]],
        }
        for vote in votes
        for side in ("first", "second")
    ]


# `learns_from` of a method -> the rows of its file.
ROWS = {"pairs": preferences, "ratings": ratings}


def write(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as JSONL or Parquet, by the suffix of `path`.

    Raises:
        ConfigError: the file, which the message calls --output, exists or cannot be written, or
            there are no rows.
    """
    path = Path(path)
    if lines := errors(path):
        raise ConfigError(*lines)
    if not rows:
        line = "--output got no vote that prefers a text, so there is nothing to write"
        raise ConfigError(plain(line))
    if path.suffix == ".jsonl":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        path.write_text(text, encoding="utf-8")
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)


def errors(path: str | Path | None) -> list[Message]:
    """Messages for a ConfigError if no new file can be written at the `path` of --output. Writes
    nothing."""
    got, path = path, Path(path or "")
    if path.suffix not in (".jsonl", ".parquet") or path.exists() or not path.parent.is_dir():
        return [option_error("--output", got and str(got), EXPECTED)]
    return []


def read(path: str | Path | None) -> list[dict[str, Any]]:
    """The rows of a preference file of texts.

    Raises:
        ConfigError: the file, which the message calls FILE, is invalid, or has messages instead of
            texts.
    """
    if path is None:
        raise ConfigError(option_error("FILE", None, "a JSONL or Parquet file"))
    rows = read_preferences(path, "FILE")
    if not all(isinstance(row["prompt"], str) for row in rows):
        raise ConfigError(option_error("FILE", str(path), "texts; this one has lists of messages"))
    return rows


def import_votes(session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
    """Record the rows of a file, from `read`, as votes; returns their number.

    Each row is a vote for `chosen`. Rows with the same two texts are votes of different raters on
    one pair, whose texts are in alphabetical order, so that their order reveals nothing.
    """
    keys = [(row["prompt"], *sorted((row["chosen"], row["rejected"]))) for row in rows]
    pairs = {key: _pair(row) for key, row in zip(keys, rows, strict=True)}
    _with_gold_rewards(session.task, pairs.values())
    ids = dict(zip(pairs, session.add_pairs(pairs.values()), strict=True))
    counts: Counter = Counter()
    votes = []
    for key, row in zip(keys, rows, strict=True):
        side = "first" if row["chosen"] == key[1] else "second"
        votes.append((counts[key], ids[key], side))
        counts[key] += 1
    raters = [session.join(IMPORTED) for _ in range(max(counts.values()))]
    session.record((raters[rater], pair, side, None) for rater, pair, side in votes)
    return len(votes)


def write_mixed(
    path: str | Path,
    votes: Iterable[Mapping[str, Any]],
    task: str,
    simulated: int,
    crowd: str = "task",
    seed: int = 0,
    learns_from: str = "pairs",
) -> dict[str, Any]:
    """Write the votes and `simulated` votes of a crowd on the task's stored pairs, shuffled.

    Returns the number of `rows`, the numbers of `votes` and of `simulated` ones among them, the
    `simulated_share` of all rows, and `left_out`, the number of votes without a row: if
    rows are pairs, those that prefer neither text. Raises ConfigError as `write` does.
    """
    votes, rows_of = list(votes), ROWS[learns_from]
    vote_rows = rows_of(votes)
    pairs = pool_pairs(task, simulated, seed) if simulated else []
    cast = simulated_raters.simulate(
        pairs, simulated_raters.CROWDS[crowd], simulated, simulated_raters.RATERS, 0.0, seed
    )
    crowd_rows = rows_of({**pairs[vote.pair], "choice": vote.choice} for vote in cast)
    rows = vote_rows + crowd_rows
    random.Random(seed).shuffle(rows)
    write(path, rows)
    rows_per_vote = 2 if learns_from == "ratings" else 1
    return {
        "rows": len(rows),
        "votes": len(vote_rows) // rows_per_vote,
        "simulated": len(crowd_rows) // rows_per_vote,
        "simulated_share": len(crowd_rows) / len(rows),
        "left_out": len(votes) - len(vote_rows) // rows_per_vote,
    }


def settings(method: str, task: str, rows: int) -> dict[str, int]:
    """`steps` and `batch_size` of a run on `rows` rows; it is no longer than a default run.

    docs/benchmarks.md, "What 200 votes are worth", has results with 200 rows.
    """
    default, kind = defaults(method, task), methods()[method].makes
    pairs = min(PASSES[kind] * rows, default["steps"] * default["batch_size"])
    return {"steps": math.ceil(pairs / BATCH[kind]), "batch_size": BATCH[kind]}


def pool_pairs(task: str, count: int, seed: int) -> list[dict[str, Any]]:
    """`count` of the task's stored pairs, unlabelled, with their two texts in random order."""
    rng = random.Random(seed)
    pairs = []
    for stored in stored_pairs(task, count, seed):
        sides = rng.choice((("chosen", "rejected"), ("rejected", "chosen")))
        pair = {"model": known_card(task).reference, "prompt": stored["prompt"]}
        for name, side in zip(("first", "second"), sides, strict=True):
            pair |= {name + part: stored[side + part] for part in ("", "_ended", "_reward")}
        pairs.append(pair)
    return pairs


def _row(vote: Mapping[str, Any], chosen: str) -> dict[str, Any]:
    rejected = {"first": "second", "second": "first"}[chosen]
    return {
        "prompt": vote["prompt"],
        "chosen": vote[chosen],
        "rejected": vote[rejected],
        "chosen_ended": bool(vote[f"{chosen}_ended"]),
        "rejected_ended": bool(vote[f"{rejected}_ended"]),
    }


def _pair(row: Mapping[str, Any]) -> dict[str, Any]:
    first, second = sorted(("chosen", "rejected"), key=lambda side: row[side])
    return {
        "prompt": row["prompt"],
        "first": row[first],
        "second": row[second],
        "first_ended": row.get(f"{first}_ended", True),
        "second_ended": row.get(f"{second}_ended", True),
    }


def _with_gold_rewards(task: str, pairs: Iterable[dict[str, Any]]) -> None:
    pairs, gold = list(pairs), get_task(task).reward
    prompts = [pair["prompt"] for pair in pairs]
    for side in ("first", "second"):
        ended = [pair[f"{side}_ended"] for pair in pairs]
        rewards = gold(prompts, [pair[side] for pair in pairs], ended=ended)
        for pair, reward in zip(pairs, rewards, strict=True):
            pair[f"{side}_reward"] = reward
