"""Preference pairs in files of TRL's format (prompt, chosen, rejected) and in the embedded pool."""

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
_MOST_LINES = 20

Covers = Callable[[str], bool]  # prompt -> whether its pairs are wanted


def read_preferences(path: str | Path, option: str = "--preferences") -> list[dict[str, Any]]:
    """The pairs of a JSONL or Parquet file, with COLUMNS, and with ENDED if the file has them.

    The three values of a pair are texts, or lists of {"role", "content"} messages. A missing prompt
    is the common beginning of chosen and rejected. Other columns are dropped.

    Raises:
        ConfigError: one message for each error, naming `option` and the line (JSONL) or row
            (Parquet).
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(option_error(option, str(path), f"{_EXPECTED}; there is no such file"))
    pairs, lines = [], []
    for number, row in rows(path):
        try:
            pairs.append(_pair(row))
        except ValueError as problem:
            lines.append(plain(f"{option} got {path}, {unit(path)} {number}: {problem}"))
    if not pairs and not lines:
        lines = [option_error(option, str(path), f"{_EXPECTED}; this one is empty")]
    if lines:
        more = [plain(f"{option}: {len(lines) - _MOST_LINES} more errors in {path}")]
        raise ConfigError(*lines[:_MOST_LINES], *(more if len(lines) > _MOST_LINES else []))
    return pairs


def _pair(row: Any) -> dict[str, Any]:
    """The pair of a row. Raises ValueError for an invalid row."""
    if isinstance(row, Unreadable):
        raise row
    return formats.pair(row)


def covers_all(prompt: str) -> bool:
    """The default `Covers`: every prompt is wanted."""
    return True


def stored_pairs(task: str, count: int, seed: int, covers: Covers = covers_all) -> list[dict]:
    """`count` of the stored pairs of the task's reference, drawn with `seed`.

    Raises:
        ConfigError: fewer than `count` stored pairs are covered.
    """
    import pyarrow.parquet

    pool = pyarrow.parquet.read_table(preference_pool(task)).to_pylist()
    pool = [pair for pair in pool if covers(pair["prompt"])]
    if count > len(pool):
        expected = f"at most the {len(pool)} stored pairs of {task}"
        line = option_error("--preference-pairs", count, expected, "pool", most=len(pool))
        raise ConfigError(line)
    return random.Random(seed).sample(pool, count)
