"""Checks a session's file, which any program may have written, before it is used."""

from __future__ import annotations

import sqlite3
from pathlib import Path

MAX_BYTES = 200_000_000  # of a file; a full session has about ten million
MAX_CHARACTERS = 100_000  # of a text
_TEXT = f"typeof({{0}}) = 'text' AND length({{0}}) <= {MAX_CHARACTERS}"
_SIDE = "{0} IS NULL OR {0} IN ('first', 'second')"
# Larger than any reward, and small enough that sums and products are finite.
_NUMBER = "{0} IS NULL OR (typeof({0}) IN ('real', 'integer') AND abs({0}) <= 1e100)"
_MODEL = f"{{0}} IS NULL OR ({_TEXT})"
_FLAG = "{0} IN (0, 1)"
_ID = "typeof({0}) = 'integer' AND {0} > 0"
# Table -> column -> the condition that every row meets.
_CONDITIONS = {
    "session": {"task": _TEXT, "created": _TEXT},
    "pairs": {
        **{"id": _ID, "model": _MODEL, "first_ended": _FLAG, "second_ended": _FLAG},
        **dict.fromkeys(("prompt", "first", "second"), _TEXT),
        **dict.fromkeys(("first_reward", "second_reward", "first_score", "second_score"), _NUMBER),
    },
    "raters": {"id": _TEXT, "kind": _TEXT},
    "votes": {
        **{"id": _ID, "rater": _TEXT, "pair": _ID, "time": _TEXT, "left": _SIDE},
        "choice": "{0} IN ('first', 'second', 'tie', 'bad')",
    },
}


def check_size(path: Path) -> None:
    """Raises ValueError if the file is larger than the file of a session can be."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"expected at most {MAX_BYTES} bytes")


def check_content(connection: sqlite3.Connection) -> None:
    """Raises ValueError or sqlite3.Error unless the tables and all rows are those of a session."""
    foreign = "type IN ('view', 'trigger') OR sql LIKE 'CREATE VIRTUAL%'"
    if connection.execute(f"SELECT 1 FROM sqlite_master WHERE {foreign}").fetchone():
        raise ValueError("expected tables only")
    for table, columns in _CONDITIONS.items():
        rule = " AND ".join(f"({text.format(name)})" for name, text in columns.items())
        if connection.execute(f"SELECT 1 FROM {table} WHERE ({rule}) IS NOT 1").fetchone():
            raise ValueError(f"expected valid rows in the table {table}")
        for _ in connection.execute(f"SELECT * FROM {table}"):  # raises if a text is not UTF-8
            pass
    (count,) = connection.execute("SELECT count(*) FROM session").fetchone()
    if count != 1:
        raise ValueError(f"expected one row in the table session, got {count}")
    strays = "pair NOT IN (SELECT id FROM pairs) OR rater NOT IN (SELECT id FROM raters)"
    if connection.execute(f"SELECT 1 FROM votes WHERE {strays}").fetchone():
        raise ValueError("expected a pair and a rater for every vote")
