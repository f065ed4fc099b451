"""The sessions of votes in a folder, each in a file of its own.

A session is deleted with all that lies beside its file: the mark of one that was opened to a room,
and what runs were given of its votes.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from pathlib import Path

from align_core.config.errors import ConfigError, option_error
from align_core.votes.session import Session, begin

ROOM = ".room"  # ends the name of the mark of a session that was opened to a room
TRAINED_ON = "trained-on"  # the folder of what runs were given: one folder a session
NAME = "a name of 1 to 40 small letters, digits and hyphens, a letter or digit first"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)


def folder() -> Path:
    """Where sessions are kept: $PLAYGROUND_SESSIONS, else `sessions` in the working directory."""
    return Path(os.environ.get("PLAYGROUND_SESSIONS", "sessions"))


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
                    taken = option_error("--session", name, "a name that is not taken")
                    raise ConfigError(taken) from None
                expected = f"a folder that can be written; {error.strerror}"
                raise ConfigError(option_error("--sessions", str(self.root), expected)) from None
            begin(path, task)
        return self.open(name)

    def open(self, name: str) -> Session:
        """The session of this name; the same object for all who ask.

        Raises:
            ConfigError: there is none.
        """
        path = self._path(name)
        with self._lock:
            if name in self._open and not self._open[name].file_exists():
                self._open.pop(name).close()
            if name not in self._open:
                if not path.is_file():
                    raise ConfigError(option_error("--session", name, _one_of(self.names())))
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
                raise ConfigError(option_error("--session", name, _one_of(self.names())))
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


def check_name(name: str | None) -> None:
    """A name from outside is never a path: it is one of few letters, or a ConfigError."""
    if name is None or not _NAME.fullmatch(name):
        raise ConfigError(option_error("--session", name, NAME))


def _one_of(names: list[str]) -> str:
    return f"the name of a session here: {', '.join(names)}" if names else "a session; none is here"
