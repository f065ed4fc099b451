"""Preference pairs and ratings in files of TRL's formats, and pairs in the embedded pool."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError, option_error
from align_core.config.messages import plain
from align_core.config.model_index import preference_pool
from align_core.data import formats
from align_core.data.rows import Unreadable, rows, unit

COLUMNS = formats.PAIR
ENDED = ("chosen_ended", "rejected_ended")  # optional columns; true by default
_EXPECTED = "a JSONL or Parquet file with prompt, chosen and rejected"
_MAX_LINES = 20

Covers = Callable[[str], bool]  # prompt -> whether its pairs are wanted


def read_preferences(
    path: str | Path, option: str = "--preferences", max_rows: int | None = None
) -> list[dict[str, Any]]:
    """The pairs of a JSONL or Parquet file, with COLUMNS, and with ENDED if the file has them.

    The three values of a pair are texts, or lists of {"role", "content"} messages. A missing prompt
    is the common beginning of chosen and rejected. Other columns are dropped, and so are pairs
    beyond the first `max_rows`.

    Raises:
        ConfigError: one message for each error, naming `option` and the line (JSONL) or row
            (Parquet).
    """
    return _read(Path(path), option, _EXPECTED, formats.pair)[:max_rows]


def read_ratings(
    path: str | Path, option: str = "--preferences", max_rows: int | None = None
) -> list[dict[str, Any]]:
    """The ratings of a JSONL or Parquet file: prompt, completion, label, perhaps completion_ended.

    A row is a rating or a pair; a pair gives two ratings (`ratings_of`). Rows beyond the first
    `max_rows` are dropped.

    Raises:
        ConfigError: as from `read_preferences`; or all labels are the same.
    """
    expected = f"{_EXPECTED}, or with prompt, completion and label"

    def parse(row: Any) -> dict[str, Any]:
        return formats.unpaired(row) or formats.pair(row)

    rows = _read(Path(path), option, expected, parse)[:max_rows]
    ratings = [rating for row in rows for rating in ([row] if "label" in row else ratings_of(row))]
    if len(labels := {rating["label"] for rating in ratings}) == 1:
        only = f"texts of both labels, true and false; all {len(ratings)} are {labels.pop()}"
        raise ConfigError(option_error(option, str(path), only, "one_label"))
    return ratings


# `learns_from` of a method -> how its file is read.
READERS = {"pairs": read_preferences, "ratings": read_ratings}


def ratings_of(pair: dict[str, Any]) -> list[dict[str, Any]]:
    """The two texts of a pair as ratings: the chosen one is desirable, the other one is not."""
    return [
        {
            "prompt": pair["prompt"],
            "completion": pair[side],
            "completion_ended": pair.get(f"{side}_ended", True),
            "label": side == "chosen",
        }
        for side in ("chosen", "rejected")
    ]


def _read(
    path: Path, option: str, expected: str, parse: Callable[[Any], dict[str, Any]]
) -> list[dict[str, Any]]:
    """The parsed rows of a file; `parse` raises ValueError for an invalid row."""
    if not path.is_file():
        raise ConfigError(option_error(option, str(path), f"{expected}; there is no such file"))
    parsed, lines = [], []
    try:
        for number, row in rows(path):
            try:
                if isinstance(row, Unreadable):
                    raise row
                parsed.append(parse(row))
            except ValueError as problem:
                lines.append(plain(f"{option} got {path}, {unit(path)} {number}: {problem}"))
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigError(option_error(option, str(path), f"{expected}; {why}")) from None
    if not parsed and not lines:
        lines = [option_error(option, str(path), f"{expected}; this one is empty")]
    if lines:
        more = [plain(f"{option}: {len(lines) - _MAX_LINES} more errors in {path}")]
        raise ConfigError(*lines[:_MAX_LINES], *(more if len(lines) > _MAX_LINES else []))
    return parsed


def covers_all(prompt: str) -> bool:
    """The default `Covers`: every prompt is wanted."""
    return True


def stored_pairs(task: str, count: int, seed: int, covers: Covers = covers_all) -> list[dict]:
    """`count` of the stored pairs of the task's reference, drawn with `seed`.

    Raises:
        ConfigError: fewer than `count` stored pairs have a prompt that `covers` accepts.
    """
    import pyarrow.parquet

    pool = pyarrow.parquet.read_table(preference_pool(task)).to_pylist()
    pool = [pair for pair in pool if covers(pair["prompt"])]
    if count > len(pool):
        expected = f"at most the {len(pool)} stored pairs of {task}"
        line = option_error("--preference-pairs", count, expected, "pool", most=len(pool))
        raise ConfigError(line)
    return random.Random(seed).sample(pool, count)
