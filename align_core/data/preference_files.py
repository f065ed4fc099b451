"""Preference pairs that are stored: in TRL's format (prompt, chosen, rejected), or in the pool."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError, complaint
from align_core.config.messages import Message, plain
from align_core.config.model_index import preference_pool

COLUMNS = ("prompt", "chosen", "rejected")
ENDED = ("chosen_ended", "rejected_ended")  # whether a text ended by itself; it did, unless told
_TAKES = "a JSONL or Parquet file with prompt, chosen and rejected"
_MOST_LINES = 20

Covers = Callable[[str], bool]  # whether pairs of a prompt are wanted


def read_preferences(path: str | Path, option: str = "--preferences") -> list[dict[str, Any]]:
    """The pairs of a JSONL or Parquet file: prompt, chosen, rejected, and those of ENDED it tells.

    A value is a text, or a list of {"role", "content"} messages (all three values of a pair alike).
    Other columns are left out.

    Raises:
        ConfigError: with one line for each error, which names `option` and the line (JSONL) or row
            (Parquet).
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(complaint(option, str(path), f"{_TAKES}; there is no such file"))
    unit, rows = (
        ("row", _parquet(path, option)) if path.suffix == ".parquet" else ("line", _jsonl(path))
    )
    pairs, lines = _checked(rows, f"{option} got {path}, {unit}")
    if not pairs and not lines:
        lines = [complaint(option, str(path), f"{_TAKES}; this one is empty")]
    if lines:
        more = [plain(f"{option}: {len(lines) - _MOST_LINES} more errors in {path}")]
        raise ConfigError(*lines[:_MOST_LINES], *(more if len(lines) > _MOST_LINES else []))
    return pairs


def everything(prompt: str) -> bool:
    """Covers every prompt."""
    return True


def stored_pairs(task: str, count: int, seed: int, covers: Covers = everything) -> list[dict]:
    """`count` pairs of the embedded SFT model's samples, chosen and ordered by the seed.

    Raises ConfigError where the pool is smaller.
    """
    import pyarrow.parquet

    pool = pyarrow.parquet.read_table(preference_pool(task)).to_pylist()
    pool = [pair for pair in pool if covers(pair["prompt"])]
    if count > len(pool):
        takes = f"at most the {len(pool)} stored pairs of {task}"
        line = complaint("--preference-pairs", count, takes, "pool", most=len(pool))
        raise ConfigError(line)
    return random.Random(seed).sample(pool, count)


def _checked(
    rows: Iterable[tuple[int, Any]], where: str
) -> tuple[list[dict[str, Any]], list[Message]]:
    pairs, lines = [], []
    for number, row in rows:
        if problem := row if isinstance(row, str) else _problem(row):
            lines.append(plain(f"{where} {number}: {problem}"))
        else:
            told = [name for name in ENDED if isinstance(row.get(name), bool)]
            pairs.append({name: row[name] for name in (*COLUMNS, *told)})
    return pairs, lines


def _problem(row: Any) -> str | None:
    """What is wrong with one pair, or None."""
    if not isinstance(row, dict) or any(column not in row for column in COLUMNS):
        found = ", ".join(row) if isinstance(row, dict) and row else "none"
        return f"it takes the columns prompt, chosen and rejected (found: {found})"
    values = [row[column] for column in COLUMNS]
    texts = all(isinstance(value, str) for value in values)
    if not texts and not all(_is_conversation(value) for value in values):
        return "prompt, chosen and rejected take three texts, or three lists of messages"
    if not all(values):
        return "prompt, chosen and rejected take something, and one is empty"
    if row["chosen"] == row["rejected"]:
        return "chosen and rejected are the same"
    return None


def _is_conversation(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(message, dict)
        and isinstance(message.get("role"), str)
        and isinstance(message.get("content"), str)
        for message in value
    )


def _jsonl(path: Path) -> Iterator[tuple[int, Any]]:
    """Line number and value; a string in place of the value says why the line cannot be read."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError:
                yield number, "this is not a whole JSON object"
            else:
                yield number, value if isinstance(value, dict) else None


def _parquet(path: Path, option: str) -> Iterator[tuple[int, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        yield from enumerate(pyarrow.parquet.read_table(path).to_pylist(), start=1)
    except (pyarrow.ArrowException, OSError, ValueError):
        line = complaint(option, str(path), f"{_TAKES}; this Parquet file is damaged")
        raise ConfigError(line) from None
