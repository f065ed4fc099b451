"""A session of votes: pairs of texts, raters, and the raters' choices, in a SQLite file.

An acknowledged vote is on the disk and survives a crash. A rater is identified by a random token;
nothing else is known about them.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import secrets
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError, option_error
from align_core.votes import pair_selection
from align_core.votes.session_checks import check_content, check_size
from align_core.votes.sqlite_writer import Reader, Writer, connect

CHOICES = ("left", "right", "tie", "bad")  # "bad": both texts are bad
OPEN_TIMEOUT = 1.0  # seconds to wait for another process that has locked the file
PERSON = "person"  # the kind of a rater who is neither simulated nor imported from a file
_TOKEN = re.compile(r"[\w-]{22}", re.ASCII)
_OTHER = {"first": "second", "second": "first"}
_UNKNOWN = "this rater or this pair does not belong to this session"

_SCHEMA = """
CREATE TABLE session (
    task TEXT NOT NULL, created TEXT NOT NULL, scored_by TEXT  -- the reward model of the scores
);
CREATE TABLE pairs (
    id INTEGER PRIMARY KEY, model TEXT, prompt TEXT NOT NULL,
    first TEXT NOT NULL, second TEXT NOT NULL CHECK (first <> second),
    first_ended INTEGER NOT NULL, second_ended INTEGER NOT NULL,
    first_reward REAL, second_reward REAL,  -- gold, nats
    first_score REAL, second_score REAL     -- the reward model's, nats
);
CREATE TABLE raters (id TEXT PRIMARY KEY, kind TEXT NOT NULL);
CREATE TABLE votes (
    id INTEGER PRIMARY KEY, rater TEXT NOT NULL REFERENCES raters, pair INTEGER NOT NULL
    REFERENCES pairs, choice TEXT NOT NULL CHECK (choice IN ('first', 'second', 'tie', 'bad')),
    left TEXT CHECK (left IN ('first', 'second')), time TEXT NOT NULL, UNIQUE (rater, pair)
);
"""
_PAIR = ("model", "prompt", "first", "second", "first_ended", "second_ended") + (
    *("first_reward", "second_reward", "first_score", "second_score"),
)


class InvalidVote(ValueError):
    """A vote that is not counted; the message says why."""


@dataclass(frozen=True)
class Ballot:
    """A pair as a rater sees it: which of the two completions is better?"""

    pair: int
    prompt: str
    left: str
    right: str


def begin(path: Path, task: str) -> None:
    """Create the tables of a session on a task in the empty file at `path`."""
    with closing(connect(path)) as connection:
        connection.executescript(f"BEGIN; {_SCHEMA}")
        connection.execute("INSERT INTO session VALUES (?, ?, NULL)", (task, _now()))
        connection.execute("COMMIT")


def has_votes(path: Path) -> bool:
    """Whether the session in the file at `path` has votes; it must not be open in any process."""
    with closing(connect(path)) as connection:
        return bool(connection.execute("SELECT EXISTS (SELECT 1 FROM votes)").fetchone()[0])


class Session:
    """Pairs of texts, raters, and their votes. Threads may share a session.

    The texts of a pair are `first` and `second`. Which of them is on the left is random for each
    rater and pair.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self._path, self._file = path, path.stat()
        try:
            check_size(path)
            self._read = Reader(path, OPEN_TIMEOUT)
        except (sqlite3.Error, ValueError) as error:
            raise _no_session(path, error) from None
        try:
            check_content(self._read.connection)
        except (sqlite3.Error, ValueError) as error:
            self._read.close()
            raise _no_session(path, error) from None
        (session,) = map(dict, self._read("SELECT * FROM session"))
        self.task: str = session["task"]
        self._list = Reader(path, OPEN_TIMEOUT)  # so that no rater waits for a list of all votes
        self._write = Writer(path)
        if "scored_by" not in session:  # made by an earlier version
            self._write(lambda db: db.execute("ALTER TABLE session ADD COLUMN scored_by TEXT"))

    def file_exists(self) -> bool:
        """Whether its file still exists: another process may have deleted it."""
        try:
            return os.path.samestat(self._path.stat(), self._file)
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Finish pending writes and close the file."""
        self._write.close()
        self._read.close()
        self._list.close()

    # Pairs

    def add_pairs(self, pairs: Iterable[Mapping[str, Any]]) -> list[int]:
        """Store pairs; returns their ids.

        A pair has prompt, first and second, and optionally model, first_ended and second_ended
        (true by default), first_reward and second_reward (gold), first_score and second_score (of a
        reward model), in nats.
        """
        ended = {"first_ended": True, "second_ended": True}
        rows = [[{**ended, **pair}.get(name) for name in _PAIR] for pair in pairs]
        insert = f"INSERT INTO pairs ({', '.join(_PAIR)}) VALUES ({', '.join('?' * len(_PAIR))})"
        return self._write(lambda db: [_inserted(db, insert, row) for row in rows])

    def set_scores(self, pairs: Iterable[Mapping[str, Any]], reward_model: str) -> None:
        """Store the scores of a new reward model: `id`, `first_score` and `second_score` (nats) of
        every pair."""
        rows = [(pair["first_score"], pair["second_score"], pair["id"]) for pair in pairs]
        update = "UPDATE pairs SET first_score = ?, second_score = ? WHERE id = ?"

        def write(db: sqlite3.Connection) -> None:
            db.executemany(update, rows)
            db.execute("UPDATE session SET scored_by = ?", (reward_model,))

        self._write(write)

    def scored_by(self) -> str | None:
        """The reward model that scored the pairs; None if they have no scores yet."""
        return self._read("SELECT scored_by FROM session")[0]["scored_by"]

    def pairs(self) -> list[dict[str, Any]]:
        """Every pair as in `add_pairs`, with its `id`."""
        return [
            {**row, "first_ended": bool(row["first_ended"])}
            | {"second_ended": bool(row["second_ended"])}
            for row in map(dict, self._list("SELECT * FROM pairs ORDER BY id"))
        ]

    # Raters

    def join(self, kind: str = PERSON) -> str:
        """Add a rater; returns the token, which no other rater should know."""
        rater = secrets.token_urlsafe(16)  # 128 bits cannot be guessed
        self._write(lambda db: db.execute("INSERT INTO raters VALUES (?, ?)", (rater, kind)))
        return rater

    def rater_count(self) -> int:
        """The number of raters."""
        return self._read("SELECT count(*) AS raters FROM raters")[0]["raters"]

    def remove_raters(self, but: Collection[str]) -> set[str]:
        """Remove the raters without votes, except the maker of the session, who is the first, and
        the raters in `but`; returns the removed tokens."""
        idle = "id NOT IN (SELECT rater FROM votes)"
        later = "rowid > (SELECT min(rowid) FROM raters)"
        rows = self._read(f"SELECT id FROM raters WHERE {idle} AND {later}")
        removed = {row["id"] for row in rows} - {*but}
        if removed:
            tokens = [(token,) for token in removed]
            self._write(lambda db: db.executemany("DELETE FROM raters WHERE id = ?", tokens))
        return removed

    def has_rater(self, rater: str) -> bool:
        """Whether `rater`, which may be any text, is the token of a rater of this session."""
        rows = _TOKEN.fullmatch(rater) and self._read("SELECT 1 FROM raters WHERE id = ?", rater)
        return bool(rows)

    def ballot(self, rater: str, active_share: float, rng: random.Random) -> Ballot | None:
        """A pair on which the rater has not voted, chosen by `pair_selection.draw`; None if there
        is no such pair."""
        unrated = self._read(
            "SELECT id, first_score - second_score AS margin FROM pairs "
            "WHERE id NOT IN (SELECT pair FROM votes WHERE rater = ?)",
            rater,
        )
        if not unrated:
            return None
        margins = {row["id"]: row["margin"] for row in unrated}
        return self.as_ballot(rater, pair_selection.draw(margins, active_share, rng))

    def as_ballot(self, rater: str, pair: int) -> Ballot:
        """The pair as this rater sees it."""
        (row,) = self._read("SELECT prompt, first, second FROM pairs WHERE id = ?", pair)
        left = left_of(rater, pair)
        return Ballot(pair, row["prompt"], row[left], row[_OTHER[left]])

    # Votes

    def vote(self, rater: str, pair: int, choice: str) -> int:
        """Record a rater's choice, one of CHOICES; returns the vote's id once it is on the disk.

        Sending the same vote again has no effect, and returns the same id.

        Raises:
            InvalidVote: the rater, the pair or the choice is unknown, or the rater has made another
                choice on this pair and not undone it.
        """
        if choice not in CHOICES:
            raise InvalidVote(option_error("the vote", choice, f"one of {', '.join(CHOICES)}"))
        if not self.has_rater(rater):
            raise InvalidVote("this rater does not belong to this session")
        if not 0 < pair < 2**63:  # SQLite's integers
            raise InvalidVote(_UNKNOWN)
        left = left_of(rater, pair)
        sides = {"left": left, "right": _OTHER[left]}
        (vote,) = self.record([(rater, pair, sides.get(choice, choice), left)])
        return vote

    def record(self, votes: Iterable[tuple[str, int, str, str | None]]) -> list[int]:
        """Record all of these votes, or none if one is invalid; returns their ids.

        A vote is (rater, pair, choice, left): the choice is "first", "second", "tie" or "bad", and
        `left` is the text that was on the left, "first" or "second", None if unknown. Raises
        InvalidVote as `vote` does.
        """
        rows, time = list(votes), _now()
        return self._write(lambda db: [_insert(db, row, time) for row in rows])

    def undo(self, rater: str, pair: int) -> bool:
        """Delete a rater's vote on a pair; False if there was none."""
        delete = "DELETE FROM votes WHERE rater = ? AND pair = ?"
        return self._write(lambda db: db.execute(delete, (rater, pair)).rowcount) > 0

    def votes(self) -> list[dict[str, Any]]:
        """All votes in order: id, rater, kind of rater, pair, choice, left and time (UTC), with all
        columns of the pair."""
        rows = self._list(
            f"SELECT votes.*, raters.kind, {', '.join(_PAIR)} FROM votes "
            "JOIN pairs ON pairs.id = votes.pair JOIN raters ON raters.id = votes.rater "
            "ORDER BY votes.id"
        )
        return [dict(row) for row in rows]

    def tally(self) -> dict[str, int]:
        """The numbers of votes, of raters who voted, of pairs, and of votes for left, right, tie
        and bad."""
        (row,) = self._read(
            "SELECT count(*) AS votes, count(DISTINCT rater) AS raters, "
            "(SELECT count(*) FROM pairs) AS pairs, "
            "total(choice = left) AS left, total(choice <> left AND choice IN ('first', 'second')) "
            "AS right, total(choice = 'tie') AS tie, total(choice = 'bad') AS bad FROM votes"
        )
        return {name: int(count) for name, count in dict(row).items()}


def _no_session(path: Path, error: Exception) -> ConfigError:
    expected = f"a session; {path} is not one: {error}"
    return ConfigError(option_error("--session", path.stem, expected))


def left_of(rater: str, pair: int) -> str:
    """The text that a rater sees on the left, "first" or "second" with probability 1/2.

    It is a hash of rater and pair, so that a reload shows the same side, and no client can choose
    it.
    """
    digest = hashlib.sha256(f"{rater} {pair}".encode()).digest()
    return ("first", "second")[digest[0] & 1]


def _inserted(db: sqlite3.Connection, statement: str, values: Sequence[Any]) -> int:
    """The id of the row that this INSERT adds."""
    number = db.execute(statement, values).lastrowid
    assert number is not None, "None only before the first INSERT"
    return number


def _insert(db: sqlite3.Connection, vote: tuple[str, int, str, str | None], time: str) -> int:
    rater, pair, choice, _ = vote
    statement = "INSERT INTO votes (rater, pair, choice, left, time) VALUES (?, ?, ?, ?, ?)"
    try:
        return _inserted(db, statement, (*vote, time))
    except sqlite3.IntegrityError:
        previous = db.execute(
            "SELECT id, choice FROM votes WHERE rater = ? AND pair = ?", (rater, pair)
        ).fetchone()
    if previous is None:
        raise InvalidVote(_UNKNOWN)
    if previous["choice"] != choice:
        raise InvalidVote("this rater has voted on this pair: undo that vote first")
    return previous["id"]


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
