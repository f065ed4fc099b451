"""What a file must hold to be a session: its size, its tables, and every value of every row."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest

from align_core.votes.session import _SCHEMA
from align_core.votes.session_checks import (
    MAX_BYTES,
    MAX_CHARACTERS,
    check_content,
    check_size,
)

ROWS = """
INSERT INTO session VALUES ('reviews', '2026-01-01', NULL);
INSERT INTO pairs VALUES (1, NULL, 'p', 'a', 'b', 1, 0, 1.5, NULL, -2, NULL);
INSERT INTO raters VALUES ('r', 'person');
INSERT INTO votes VALUES (1, 'r', 1, 'first', NULL, '2026-01-02');
"""


def checked(*statements: str) -> str:
    """The error of a session after these statements, "" if there is none."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(_SCHEMA + ROWS + "PRAGMA ignore_check_constraints = ON;")
        for statement in statements:
            connection.execute(statement)
        try:
            check_content(connection)
        except ValueError as error:
            return str(error)
    return ""


def test_a_file_is_no_larger_than_the_limit(tmp_path):
    path = tmp_path / "talk.db"
    for size in (0, MAX_BYTES, MAX_BYTES + 1):  # without content, so that it needs no space
        path.touch()
        os.truncate(path, size)
        if size <= MAX_BYTES:
            check_size(path)
        else:
            with pytest.raises(ValueError, match=f"expected at most {MAX_BYTES} bytes"):
                check_size(path)


def test_a_session_may_have_these_values():
    text = "x" * MAX_CHARACTERS
    accepted = (
        f"UPDATE pairs SET prompt = '{text}'",
        "UPDATE pairs SET model = 'pretrained'",
        "UPDATE pairs SET first_reward = -1e100, second_score = 1e100",
        "UPDATE votes SET left = 'second', choice = 'bad'",
        "CREATE TABLE moods (rater TEXT)",
    )
    assert {statement[:40]: checked(statement) for statement in accepted} == {
        statement[:40]: "" for statement in accepted
    }


def test_a_session_has_tables_only():
    statements = (
        "CREATE VIEW all_votes AS SELECT * FROM votes",
        "CREATE TRIGGER t AFTER INSERT ON votes BEGIN DELETE FROM votes; END",
        "CREATE VIRTUAL TABLE words USING fts5(word)",
    )
    assert [checked(one) for one in statements] == ["expected tables only"] * 3


def test_every_row_has_valid_values():
    texts = f"'{'x' * (MAX_CHARACTERS + 1)}'", "x'41'"
    wrong = {
        "session": {"task": texts, "created": texts},
        "pairs": {
            **dict.fromkeys(("prompt", "first", "second", "model"), texts),
            **dict.fromkeys(("first_ended", "second_ended"), ("2", "-1", "'yes'")),
            **dict.fromkeys(("first_reward", "second_score"), ("1.1e100", "-1.1e100", "x'41'")),
            "id": ("0", "-1"),
        },
        "raters": {"id": texts, "kind": texts},
        "votes": {
            "time": texts,
            "left": ("'third'",),
            "choice": ("'neither'",),
            "id": ("0", "-1"),
        },
    }
    for table, columns in wrong.items():
        for column, values in columns.items():
            for value in values:
                error = checked(f"UPDATE {table} SET {column} = {value}")
                assert error == f"expected valid rows in the table {table}", (column, value[:9])


def test_there_is_one_session():
    assert checked("DELETE FROM session").endswith("one row in the table session, got 0")
    twice = checked("INSERT INTO session VALUES ('reviews', 'then', NULL)")
    assert twice == "expected one row in the table session, got 2"


def test_a_vote_is_of_a_rater_on_a_pair():
    for statement in ("UPDATE votes SET pair = 9", "UPDATE votes SET rater = 's'"):
        assert checked(statement) == "expected a pair and a rater for every vote"
