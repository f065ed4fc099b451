"""One session of votes: pairs of texts, the raters who see them, and what they choose.

A vote that was answered is on the disk and stays there, whatever is killed. A rater is a random
token made here, and nothing else is known of them.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError, option_error
from align_core.votes import pair_selection
from align_core.votes.sqlite_writer import Closed, Writer, connect

CHOICES = ("left", "right", "tie", "bad")  # bad: both are
PERSON = "person"  # the kind of a rater; others are simulated or come from a file
_TOKEN = re.compile(r"[\w-]{22}", re.ASCII)
_OTHER = {"first": "second", "second": "first"}
_UNKNOWN = "this rater or this pair is not of this session"

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
    """A vote that does not count; one line, in plain words, that says why."""


@dataclass(frozen=True)
class Ballot:
    """What a rater is asked: which of two completions is better."""

    pair: int
    prompt: str
    left: str
    right: str


def begin(path: Path, task: str) -> None:
    """Make the empty file at `path` a session about a task."""
    with closing(connect(path)) as connection:
        connection.executescript(f"BEGIN; {_SCHEMA}")
        connection.execute("INSERT INTO session VALUES (?, ?, NULL)", (task, _now()))
        connection.execute("COMMIT")


class Session:
    """Pairs of texts, raters, and their votes. Threads may share a session.

    A pair's two texts are `first` and `second`; each rater sees one of them on the left, by chance.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self._path, self._file = path, path.stat()
        self._reading = threading.Lock()
        try:
            self._reader = connect(path)
            (session,) = map(dict, self._read("SELECT * FROM session"))
            self.task: str = session["task"]
        except (sqlite3.DatabaseError, ValueError):
            expected = f"a session; {path} is none"
            raise ConfigError(option_error("--session", path.stem, expected)) from None
        self._write = Writer(path)
        if "scored_by" not in session:  # made by an earlier version
            self._write(lambda db: db.execute("ALTER TABLE session ADD COLUMN scored_by TEXT"))

    def file_exists(self) -> bool:
        """Whether its file is still there: another process may delete it."""
        try:
            return os.path.samestat(self._path.stat(), self._file)
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Write what waits and close the file."""
        self._write.close()
        with self._reading:
            self._reader.close()

    # Pairs

    def add_pairs(self, pairs: Iterable[Mapping[str, Any]]) -> list[int]:
        """Store pairs; returns their ids.

        A pair has prompt, first and second, and where known model, first_ended and second_ended
        (otherwise both ended), first_reward and second_reward (gold), first_score and second_score
        (the reward model's), in nats.
        """
        ended = {"first_ended": True, "second_ended": True}
        rows = [[{**ended, **pair}.get(name) for name in _PAIR] for pair in pairs]
        insert = f"INSERT INTO pairs ({', '.join(_PAIR)}) VALUES ({', '.join('?' * len(_PAIR))})"
        return self._write(lambda db: [db.execute(insert, row).lastrowid for row in rows])

    def set_scores(self, pairs: Iterable[Mapping[str, Any]], reward_model: str) -> None:
        """Store what a newer reward model makes of all pairs, each with its `id`: `first_score` and
        `second_score`, in nats."""
        rows = [(pair["first_score"], pair["second_score"], pair["id"]) for pair in pairs]
        update = "UPDATE pairs SET first_score = ?, second_score = ? WHERE id = ?"

        def write(db: sqlite3.Connection) -> None:
            db.executemany(update, rows)
            db.execute("UPDATE session SET scored_by = ?", (reward_model,))

        self._write(write)

    def scored_by(self) -> str | None:
        """The reward model whose scores the pairs have; None: they have none yet."""
        return self._read("SELECT scored_by FROM session")[0]["scored_by"]

    def pairs(self) -> list[dict[str, Any]]:
        """Every pair as it was added, with its `id`."""
        return [
            {**row, "first_ended": bool(row["first_ended"])}
            | {"second_ended": bool(row["second_ended"])}
            for row in map(dict, self._read("SELECT * FROM pairs ORDER BY id"))
        ]

    # Raters

    def join(self, kind: str = PERSON) -> str:
        """A new rater's token, which only they should know."""
        rater = secrets.token_urlsafe(16)  # 128 bits: nobody guesses another's
        self._write(lambda db: db.execute("INSERT INTO raters VALUES (?, ?)", (rater, kind)))
        return rater

    def has_rater(self, rater: str) -> bool:
        """Whether this is the token of a rater of this session. Takes any text."""
        found = _TOKEN.fullmatch(rater) and self._read("SELECT 1 FROM raters WHERE id = ?", rater)
        return bool(found)

    def ballot(self, rater: str, active_share: float, rng: random.Random) -> Ballot | None:
        """A pair that the rater has not rated, as `pair_selection.draw` finds it; None: no more."""
        open_pairs = self._read(
            "SELECT id, first_score - second_score AS margin FROM pairs "
            "WHERE id NOT IN (SELECT pair FROM votes WHERE rater = ?)",
            rater,
        )
        if not open_pairs:
            return None
        margins = {row["id"]: row["margin"] for row in open_pairs}
        return self._ballot(rater, pair_selection.draw(margins, active_share, rng))

    # Votes

    def vote(self, rater: str, pair: int, choice: str) -> int:
        """Count a rater's choice, one of CHOICES, and return the vote's id once it is on the disk.

        The same vote sent again is that vote.

        Raises:
            NotCounted: the rater or the pair is not known, there is no such choice, or the rater
                has voted otherwise on this pair and not taken it back.
        """
        if choice not in CHOICES:
            raise InvalidVote(option_error("the vote", choice, f"one of {', '.join(CHOICES)}"))
        if not self.has_rater(rater):
            raise InvalidVote("this rater is not of this session")
        if not 0 < pair < 2**63:  # what SQLite counts in
            raise InvalidVote(_UNKNOWN)
        left = left_of(rater, pair)
        sides = {"left": left, "right": _OTHER[left]}
        (vote,) = self.record([(rater, pair, sides.get(choice, choice), left)])
        return vote

    def record(self, votes: Iterable[tuple[str, int, str, str | None]]) -> list[int]:
        """Count all of these votes or, where one is refused, none; returns their ids.

        A vote is (rater, pair, choice, left): the choice is "first", "second", "tie" or "bad", and
        `left` the text that was shown there, "first" or "second", None where nobody knows. Raises
        NotCounted as `vote` does.
        """
        rows, time = list(votes), _now()
        return self._write(lambda db: [_insert(db, row, time) for row in rows])

    def undo(self, rater: str, pair: int) -> bool:
        """Take a rater's vote on a pair back; False if there was none."""
        delete = "DELETE FROM votes WHERE rater = ? AND pair = ?"
        return self._write(lambda db: db.execute(delete, (rater, pair)).rowcount) > 0

    def votes(self) -> list[dict[str, Any]]:
        """Every vote in the order they came: id, rater, kind of rater, pair, choice, left and time
        (UTC), with all that is known of the pair."""
        found = self._read(
            f"SELECT votes.*, raters.kind, {', '.join(_PAIR)} FROM votes "
            "JOIN pairs ON pairs.id = votes.pair JOIN raters ON raters.id = votes.rater "
            "ORDER BY votes.id"
        )
        return [dict(row) for row in found]

    def tally(self) -> dict[str, int]:
        """How many votes, raters who voted, pairs, and votes for each side, tie and both bad."""
        (row,) = self._read(
            "SELECT count(*) AS votes, count(DISTINCT rater) AS raters, "
            "(SELECT count(*) FROM pairs) AS pairs, "
            "total(choice = left) AS left, total(choice <> left AND choice IN ('first', 'second')) "
            "AS right, total(choice = 'tie') AS tie, total(choice = 'bad') AS bad FROM votes"
        )
        return {name: int(count) for name, count in dict(row).items()}

    def _ballot(self, rater: str, pair: int) -> Ballot:
        (row,) = self._read("SELECT prompt, first, second FROM pairs WHERE id = ?", pair)
        left = left_of(rater, pair)
        return Ballot(pair, row["prompt"], row[left], row[_OTHER[left]])

    def _read(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._reading:
            try:
                return self._reader.execute(query, values).fetchall()
            except sqlite3.ProgrammingError:
                raise Closed("this session is closed") from None


def left_of(rater: str, pair: int) -> str:
    """Which text of a pair a rater sees on the left: "first" or "second", at even odds.

    It follows from the two, so that a reload shows the same and no phone has to be believed.
    """
    digest = hashlib.sha256(f"{rater} {pair}".encode()).digest()
    return ("first", "second")[digest[0] & 1]


def _insert(db: sqlite3.Connection, vote: tuple[str, int, str, str | None], time: str) -> int:
    rater, pair, choice, _ = vote
    try:
        return db.execute(
            "INSERT INTO votes (rater, pair, choice, left, time) VALUES (?, ?, ?, ?, ?)",
            (*vote, time),
        ).lastrowid
    except sqlite3.IntegrityError:
        found = db.execute(
            "SELECT id, choice FROM votes WHERE rater = ? AND pair = ?", (rater, pair)
        ).fetchone()
    if found is None:
        raise InvalidVote(_UNKNOWN)
    if found["choice"] != choice:
        raise InvalidVote("this rater has voted on this pair: take that vote back first")
    return found["id"]


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
