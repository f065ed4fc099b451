"""The sessions of votes in a folder, each in its own file.

A presenter can open a session as a room, in which an audience votes on phones. Deleting a session
also deletes what belongs to it in that folder: the marker that it was opened as a room, and the
preference files that runs were trained on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import threading
from pathlib import Path

from align_core.config.errors import ConfigError, option_error
from align_core.runs.steady_clock import steady_time
from align_core.votes.session import Session, begin, has_votes

ROOM = ".room"  # suffix of the marker file of a session that was opened as a room
TRAINED_ON = "trained-on"  # folder of preference files of runs; it has a folder for each session
NAME = "a name of 1 to 40 lower-case letters, digits and hyphens, not beginning with a hyphen"
_LOG = logging.getLogger(__name__)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)


def folder() -> Path:
    """The default folder: $PLAYGROUND_SESSIONS, else `sessions` in the working directory."""
    return Path(os.environ.get("PLAYGROUND_SESSIONS", "sessions"))


class Sessions:
    """The sessions in a folder. Threads may share it; only one process should record votes."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}
        self._unreadable: dict[str, tuple[int, int]] = {}  # name -> inode and time of change

    def names(self) -> list[str]:
        """The names of all sessions in reverse order: if they start with a date, newest first.

        Files that turned out not to be sessions are left out.
        """
        stems = (path.stem for path in self.root.glob("*.db") if path.is_file())
        names = (name for name in filter(_NAME.fullmatch, stems) if not self._is_skipped(name))
        return sorted(names, reverse=True)

    def older_than(self, days: float) -> list[str]:
        """The names of the sessions that were not written to for `days`, oldest first."""
        since = steady_time() - days * 86_400
        written = {name: self._last_write(name) for name in self.names()}
        return sorted((name for name in written if written[name] < since), key=written.__getitem__)

    def _last_write(self, name: str) -> float:
        """The time of the last write, in seconds since 1970."""
        path = self._path(name)
        files = (path, path.with_suffix(".db-wal"))
        return max((file.stat().st_mtime for file in files if file.exists()), default=steady_time())

    def create(self, name: str, task: str) -> Session:
        """Create an empty session on a task.

        Raises:
            ConfigError: the name is invalid or taken, or the folder cannot be written.
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
        """The session of this name, the same object at every call.

        Raises:
            ConfigError: there is no such session.
        """
        path = self._path(name)
        # Without the lock: votes in an open session must not wait for another one to open or close.
        if (session := self._open.get(name)) and session.file_exists():
            return session
        with self._lock:
            if name in self._open and not self._open[name].file_exists():
                self._open.pop(name).close()
            if name not in self._open:
                if not path.is_file():
                    raise ConfigError(option_error("--session", name, _one_of(self.names())))
                self._open[name] = self._opened(name, path)
            return self._open[name]

    def _opened(self, name: str, path: Path) -> Session:
        """The session in a file. Raises ConfigError if the file is not a session, and logs that
        once."""
        try:
            return Session(path)
        except ConfigError as error:
            if not self._is_skipped(name):
                self._unreadable[name] = _stamp(path)
                _LOG.warning("The session %s is skipped: %s", name, error)
            raise

    def _is_skipped(self, name: str) -> bool:
        """Whether the file turned out not to be a session, and has not changed since."""
        return name in self._unreadable and _stamp(self._path(name)) == self._unreadable[name]

    def delete(self, name: str) -> list[str]:
        """Delete the session and all files that belong to it; returns their names in the folder.

        Raises:
            ConfigError: there is no such session.
        """
        with self._lock:
            self._close(name)
            return self._remove(name)

    def delete_if_without_votes(self, name: str) -> bool:
        """Delete the session unless it has votes; returns whether it was deleted.

        No acknowledged vote is lost: a vote during the call keeps the session, or is refused.

        Raises:
            ConfigError: there is no such session.
        """
        if self.open(name).tally()["votes"]:
            return False
        with self._lock:
            self._close(name)
            if has_votes(self._path(name)):
                return False
            self._remove(name)
            return True

    def size(self, name: str) -> int:
        """Bytes of all files that belong to the session."""
        size = 0
        for path in self._paths(name):
            files = path.iterdir() if path.is_dir() else [path]
            with contextlib.suppress(OSError):  # deleted meanwhile
                size += sum(file.stat().st_size for file in files)
        return size

    def _close(self, name: str) -> None:
        """Close a session, with all votes written. Raises ConfigError if it does not exist."""
        if not self._path(name).is_file():
            raise ConfigError(option_error("--session", name, _one_of(self.names())))
        if name in self._open:
            self._open.pop(name).close()

    def _remove(self, name: str) -> list[str]:
        paths = self._paths(name)
        for path in paths:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        return [str(path.relative_to(self.root)) for path in paths]

    def _paths(self, name: str) -> list[Path]:
        """The files of a session; the .db is last, so that a failed deletion can be repeated."""
        path = self._path(name)
        files = (path.with_suffix(suffix) for suffix in (ROOM, ".db-wal", ".db-shm", ".db"))
        return [path for path in (self.root / TRAINED_ON / name, *files) if path.exists()]

    def close(self) -> None:
        """Finish pending writes and close every file."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _path(self, name: str) -> Path:
        check_name(name)
        return self.root / f"{name}.db"


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return status.st_ino, status.st_mtime_ns


def check_name(name: str | None) -> None:
    """Raise ConfigError unless `name` is a valid session name, which is never a path."""
    if name is None or not _NAME.fullmatch(name):
        raise ConfigError(option_error("--session", name, NAME))


def _one_of(names: list[str]) -> str:
    """The valid names of a session, in words, for error messages."""
    if not names:
        return "an existing session; there is none"
    return f"the name of a session here: {', '.join(names)}"
