"""Malformed files of votes: each is skipped with one logged line, and breaks no other session."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from align_core.cli.main import main
from align_core.config.errors import ConfigError
from align_core.runs.client import Client
from align_core.votes import preference_files, statistics
from align_core.votes.session_checks import MAX_BYTES
from align_core.votes.sessions import Sessions
from playground.limits import Limits
from playground.voting.rater_states import Rater
from playground.voting.room import VotingService
from playground.voting.vote_reports import VoteReports
from tests.playground.voting.vote_server import HOSTILE, PAIRS, Stored


def table(statement: str, *values) -> Callable[[Path], None]:
    """A session after this SQL was executed on its file."""

    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(statement, values)
            connection.commit()

    return change


def content(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def scratched(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(bytes(data))


def sparse(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(MAX_BYTES + 1)


def rebuilt(*statements: str) -> Callable[[Path], None]:
    """A database made by these statements."""

    def change(path: Path) -> None:
        path.unlink()
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return change


SESSION = "CREATE TABLE session (task TEXT, created TEXT, scored_by TEXT)"
ENDLESS = """CREATE VIEW pairs AS WITH RECURSIVE endless(x) AS (SELECT 1 UNION ALL SELECT x + 1
FROM endless) SELECT x AS id, 'p' AS prompt FROM endless"""

REFUSED: dict[str, Callable[[Path], None]] = {
    "empty": content(b""),
    "text": content(b"no database, and longer than any header " * 9),
    "zeros": content(b"\0" * 9000),
    "a header alone": content(b"SQLite format 3\0"),
    "cut short": cut,
    "scratched": scratched,
    "huge": sparse,
    "another schema": rebuilt("CREATE TABLE photos (name TEXT)"),
    "no rows": table("DELETE FROM session"),
    "two sessions": table("INSERT INTO session VALUES ('reviews', 'then', NULL)"),
    "no pairs": table("ALTER TABLE pairs RENAME TO comparisons"),
    "no votes": table("DROP TABLE votes"),
    "no raters": table("ALTER TABLE raters RENAME TO people"),
    "a column less": table("ALTER TABLE pairs RENAME COLUMN first_score TO old_score"),
    "a session without a task": rebuilt("CREATE TABLE session (created TEXT)"),
    "a task of bytes": table("UPDATE session SET task = x'ff00'"),
    "an endless task": table("UPDATE session SET task = ?", "x" * 200_000),
    "prompts of numbers": rebuilt(SESSION, "CREATE TABLE pairs (id, prompt)"),
    "prompts of bytes": table("UPDATE pairs SET prompt = x'c3'"),
    "no UTF-8": table("UPDATE pairs SET first = CAST(x'ff41' AS TEXT)"),
    "half a surrogate": table("UPDATE pairs SET first = CAST(x'eda080' AS TEXT)"),
    "endless texts": table("UPDATE pairs SET first = ?", "x" * 200_000),
    "rewards of text": table("UPDATE pairs SET first_reward = 'superb'"),
    "infinite rewards": table("UPDATE pairs SET first_reward = 9e999"),
    "scores of bytes": table("UPDATE pairs SET first_score = x'00'"),
    "ends of text": table("UPDATE pairs SET first_ended = 'perhaps'"),
    "models of bytes": table("UPDATE pairs SET model = x'00'"),
    "raters of nobody": table("UPDATE raters SET id = 'nobody'"),
    "votes on nothing": table("UPDATE votes SET pair = pair + 50"),
    "times of bytes": table("UPDATE votes SET time = x'00'"),
    "kinds of bytes": table("UPDATE raters SET kind = x'00'"),
    "an endless view": rebuilt(SESSION, ENDLESS),
    "a trigger": table("CREATE TRIGGER t AFTER INSERT ON votes BEGIN DELETE FROM votes; END"),
}
# These files do not have the format of sessions.
HIDDEN: dict[str, Callable[[Path], object]] = {
    "a folder": replaced(Path.mkdir),
    "a pipe": replaced(os.mkfifo),
    "a loop": replaced(lambda path: path.symlink_to(path.name)),
    "a dangling link": replaced(lambda path: path.symlink_to("nowhere")),
    "a device": replaced(lambda path: path.symlink_to("/dev/zero")),
}
READ: dict[str, Callable[[Path], None]] = {
    "a foreign task": table("UPDATE session SET task = 'opera'"),
    "a task of markup": table("UPDATE session SET task = ?", HOSTILE),
    "texts of markup": table("UPDATE pairs SET prompt = ?, first = ?", HOSTILE, f"{HOSTILE}!"),
    "columns of a newer version": table("ALTER TABLE pairs ADD COLUMN wings INTEGER"),
    "tables of a newer version": table("CREATE TABLE moods (rater TEXT)"),
    "a log of junk": lambda path: content(b"\xff" * 5000)(path.with_suffix(".db-wal")),
    "a model of nobody": table("UPDATE pairs SET model = '../../etc'"),
    "no pairs at all": lambda path: (table("DELETE FROM votes")(path), table(
        "DELETE FROM pairs")(path))[0],
}  # fmt: skip


def kinds(root: Path, spoiled: dict) -> dict[str, str]:
    """A session of each kind, with votes, as {kind: name}."""
    with closing(Sessions(root)) as sessions:
        session = sessions.create("whole", "reviews")
        session.add_pairs(PAIRS)
        rater = session.join()
        for pair, choice in enumerate(("left", "right", "tie", "bad"), 1):
            session.vote(rater, pair, choice)
    whole = (root / "whole.db").read_bytes()
    (root / "whole.db").unlink()
    names = {}
    for number, (kind, spoil) in enumerate(spoiled.items()):
        names[kind] = f"kind-{number:02d}"
        (root / f"{names[kind]}.db").write_bytes(whole)
        spoil(root / f"{names[kind]}.db")
    return names


@pytest.fixture
def voting(sessions):
    return VotingService(sessions, Stored(), seed=0)


def refused(action) -> str:
    """The error, which must be a declared one and have one line."""
    with pytest.raises(Exception) as error:
        action()
    assert type(error.value).__name__ in ("ConfigError", "Refused"), repr(error.value)
    return str(error.value)


def test_there_are_enough_kinds():
    assert len(REFUSED) + len(HIDDEN) + len(READ) >= 30


def test_files_that_are_no_sessions_are_skipped_with_one_line(sessions, voting, caplog):
    names = kinds(sessions.root, {**REFUSED, **HIDDEN})
    for kind, name in names.items():
        for _ in range(3):
            assert "\n" not in refused(lambda name=name: sessions.open(name)), kind
            refused(lambda name=name: voting.ballot(Rater(name, "x" * 22)))
            assert not voting.has_joined(Rater(name, "x" * 22))
    assert sessions.names() == []
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == len(REFUSED)
    assert all(sum(f"session {names[kind]} " in line for line in lines) == 1 for kind in REFUSED)
    joined = voting.join(Rater("", ""), "reviews")
    assert joined["pair"] and sessions.names() == [joined["session"]]


def test_a_session_with_foreign_values_is_read(sessions, tmp_path):
    names = kinds(sessions.root, READ)
    client = Client(tmp_path / "runs")
    reports = VoteReports(client, None, tmp_path)
    for kind, name in names.items():
        session = sessions.open(name)
        votes = session.votes()
        answers = (
            reports.report(session),
            session.tally(),
            statistics.stats(votes),
            statistics.disputed(votes, 3),
            preference_files.preferences(votes),
        )
        json.dumps(answers, allow_nan=False).encode()
        assert len(votes) == (0 if kind == "no pairs at all" else 4), kind


def test_a_full_list_of_sessions_is_pruned_despite_broken_ones(sessions):
    voting = VotingService(sessions, Stored(), seed=0, limits=Limits(sessions=3))
    kinds(sessions.root, {kind: REFUSED[kind] for kind in ("empty", "text", "no votes")})
    for _ in range(5):
        assert voting.join(Rater("", ""), "reviews")["pair"]


def test_the_command_refuses_them_in_one_line(sessions, capsys):
    names = kinds(sessions.root, {**REFUSED, **HIDDEN})
    for kind, name in names.items():
        command = ["preferences", "stats", "--session", name, "--sessions", str(sessions.root)]
        assert main(command) == 2, kind
        assert len(capsys.readouterr().err.splitlines()) == 1, kind


def test_a_repaired_session_is_read(sessions):
    with closing(Sessions(sessions.root)) as others:
        others.create("talk", "reviews")
    whole = (sessions.root / "talk.db").read_bytes()
    (sessions.root / "talk.db").write_bytes(b"no database at all, for now")
    with pytest.raises(ConfigError):
        sessions.open("talk")
    assert sessions.names() == []
    (sessions.root / "talk.db").write_bytes(whole)
    assert sessions.names() == ["talk"] and sessions.open("talk").task == "reviews"


def test_a_locked_file_delays_others_only_briefly(sessions, monkeypatch):
    monkeypatch.setattr("align_core.votes.session.OPEN_TIMEOUT", 0.05)
    with closing(Sessions(sessions.root)) as others:
        others.create("talk", "reviews")
    with closing(sqlite3.connect(sessions.root / "talk.db")) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigError, match="locked"):
            sessions.open("talk")
