"""What people say about pairs of texts: sessions of votes, each in a file of its own.

A vote that was answered is on the disk and stays there, whatever is killed. A rater is a random
token made here, and nothing else is known of them. A session is deleted with all that lies beside
its file: the mark of one that was opened to a room, and what runs were given of its votes.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError, complaint
from align_core.votes import pair_selection
from align_core.votes.sqlite_writer import Closed, Writer, connect

CHOICES = ("left", "right", "tie", "bad")  # bad: both are
PERSON = "person"  # the kind of a rater; others are simulated or come from a file
ROOM = ".room"  # ends the name of the mark of a session that was opened to a room
TRAINED_ON = "trained-on"  # the folder of what runs were given: one folder a session
NAME = "a name of 1 to 40 small letters, digits and hyphens, a letter or digit first"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)
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


def folder() -> Path:
    """Where sessions are kept: $PLAYGROUND_SESSIONS, else `sessions` in the working directory."""
    return Path(os.environ.get("PLAYGROUND_SESSIONS", "sessions"))


class Refused(ValueError):
    """A vote that does not count; one line, in plain words, that says why."""


@dataclass(frozen=True)
class Ballot:
    """What a rater is asked: which of two completions is better."""

    pair: int
    prompt: str
    left: str
    right: str


class Sessions:
    """The sessions in a folder. Threads may share it; one process should take the votes."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}

    def names(self) -> list[str]:
        """The names of all sessions, last first: names that start with a date come newest first."""
        stems = (path.stem for path in self.root.glob("*.db"))
        return sorted(filter(_NAME.fullmatch, stems), reverse=True)

    def create(self, name: str, task: str) -> Session:
        """A new, empty session about a task.

        Raises:
            ConfigError: no such name can be had, it is taken, or the folder cannot be written.
        """
        path = self._path(name)
        with self._lock:
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                path.open("x").close()
            except OSError as error:
                if path.exists():
                    taken = complaint("--session", name, "a name that is not taken")
                    raise ConfigError(taken) from None
                takes = f"a folder that can be written; {error.strerror}"
                raise ConfigError(complaint("--sessions", str(self.root), takes)) from None
            with closing(connect(path)) as connection:
                connection.executescript(f"BEGIN; {_SCHEMA}")
                connection.execute("INSERT INTO session VALUES (?, ?, NULL)", (task, _now()))
                connection.execute("COMMIT")
        return self.open(name)

    def open(self, name: str) -> Session:
        """The session of this name; the same object for all who ask.

        Raises:
            ConfigError: there is none.
        """
        path = self._path(name)
        with self._lock:
            if name in self._open and not self._open[name].stands():
                self._open.pop(name).close()
            if name not in self._open:
                if not path.is_file():
                    raise ConfigError(complaint("--session", name, _one_of(self.names())))
                self._open[name] = Session(path)
            return self._open[name]

    def delete(self, name: str) -> list[str]:
        """Take the session off the disk, with every vote and rater in it and all that lies beside
        it; returns the names of what was there, as they stood in the folder.

        Raises:
            ConfigError: there is none.
        """
        path = self._path(name)
        with self._lock:
            if not path.is_file():
                raise ConfigError(complaint("--session", name, _one_of(self.names())))
            if name in self._open:
                self._open.pop(name).close()
            suffixes = (ROOM, ".db-wal", ".db-shm", ".db")  # the last one last: it can be retried
            found = [self.root / TRAINED_ON / name, *(path.with_suffix(one) for one in suffixes)]
            found = [one for one in found if one.exists()]
            for one in found:
                shutil.rmtree(one) if one.is_dir() else one.unlink(missing_ok=True)
            return [str(one.relative_to(self.root)) for one in found]

    def close(self) -> None:
        """Write what waits and close every file."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _path(self, name: str) -> Path:
        check_name(name)
        return self.root / f"{name}.db"


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
            takes = f"a session; {path} is none"
            raise ConfigError(complaint("--session", path.stem, takes)) from None
        self._write = Writer(path)
        if "scored_by" not in session:  # made by an earlier version
            self._write(lambda db: db.execute("ALTER TABLE session ADD COLUMN scored_by TEXT"))

    def stands(self) -> bool:
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

    def knows(self, rater: str) -> bool:
        """Whether this is the token of a rater of this session. Takes any text."""
        found = _TOKEN.fullmatch(rater) and self._read("SELECT 1 FROM raters WHERE id = ?", rater)
        return bool(found)

    def ballot(self, rater: str, active_share: float, rng: random.Random) -> Ballot | None:
        """A pair that the rater has not voted on, as `selection.draw` finds it; None: no more."""
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
            Refused: the rater or the pair is not known, there is no such choice, or the rater has
                voted otherwise on this pair and not taken it back.
        """
        if choice not in CHOICES:
            raise Refused(complaint("the vote", choice, f"one of {', '.join(CHOICES)}"))
        if not self.knows(rater):
            raise Refused("this rater is not of this session")
        if not 0 < pair < 2**63:  # what SQLite counts in
            raise Refused(_UNKNOWN)
        left = left_of(rater, pair)
        sides = {"left": left, "right": _OTHER[left]}
        (vote,) = self.record([(rater, pair, sides.get(choice, choice), left)])
        return vote

    def record(self, votes: Iterable[tuple[str, int, str, str | None]]) -> list[int]:
        """Count all of these votes or, where one is refused, none; returns their ids.

        A vote is (rater, pair, choice, left): the choice is "first", "second", "tie" or "bad", and
        `left` the text that was shown there, "first" or "second", None where nobody knows. Raises
        Refused as `vote` does.
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


def check_name(name: str | None) -> None:
    """A name from outside is never a path: it is one of few letters, or a ConfigError."""
    if name is None or not _NAME.fullmatch(name):
        raise ConfigError(complaint("--session", name, NAME))


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
        raise Refused(_UNKNOWN)
    if found["choice"] != choice:
        raise Refused("this rater has voted on this pair: take that vote back first")
    return found["id"]


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _one_of(names: list[str]) -> str:
    return f"the name of a session here: {', '.join(names)}" if names else "a session; none is here"
