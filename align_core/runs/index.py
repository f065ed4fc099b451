"""The readable runs in a folder: each is checked once, and after that only listed."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from pathlib import Path

from align_core.config.errors import ConfigError
from align_core.config.messages import Message
from align_core.runs.directory import RunDirectory

RETRY_SECONDS = 1.0  # between two checks of unreadable runs
RELIST_SECONDS = 0.1  # between two listings of a folder that has just changed
SETTLED = 2.0  # seconds; two changes within less time may get the same timestamp
_LOG = logging.getLogger(__name__)
_RUN_NAME = re.compile(r"\d{4}-\d\d-\d\d-\d{6}-[a-z][a-z0-9-]*-[a-z][a-z0-9_]*(-\d+)?", re.ASCII)

_Stamp = tuple[int, ...]


class RunIndex:
    """The runs in `root`, which other processes may add and delete. Thread-safe.

    A run is checked when it is first seen. Unreadable runs are skipped with a warning in the log,
    and checked again when their files have changed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.RLock()
        self._changed_at = -1  # the folder's time of change at the last listing, in ns
        self._listed_at = self._retried_at = 0.0
        self._names: list[str] = []  # newest first
        self._runs: dict[str, tuple[int, RunDirectory]] = {}  # name -> inode and directory
        self._unreadable: dict[str, tuple[int, _Stamp]] = {}
        self._logged: set[str] = set()  # unreadable runs that the log has named

    def names(self) -> list[str]:
        """The names of the runs, newest first."""
        with self._lock:
            self._refresh()
            return [*self._names]

    def __contains__(self, run: object) -> bool:
        with self._lock:
            self._refresh(for_missing=run not in self._runs)
            return run in self._runs

    def directory(self, run: str) -> RunDirectory:
        """The directory of a run. Raises ConfigError if there is no such run."""
        with self._lock:
            if run not in self._runs:
                self._refresh(for_missing=True)
            if run in self._unreadable:
                self._retry()
            if run not in self._runs:
                raise ConfigError(unknown_run(run))
            return self._runs[run][1]

    def _refresh(self, for_missing: bool = False) -> None:
        try:
            changed_at = os.stat(self._root).st_mtime_ns
        except OSError:
            changed_at = -1
        settled = self._listed_at - changed_at / 1e9 > SETTLED
        is_due = not settled and (for_missing or time.time() - self._listed_at > RELIST_SECONDS)
        if changed_at != self._changed_at or is_due:
            self._changed_at = changed_at
            self._list()
        elif self._unreadable and time.monotonic() - self._retried_at > RETRY_SECONDS:
            self._retry()

    def _list(self) -> None:
        self._listed_at = time.time()
        try:
            with os.scandir(self._root) as entries:
                inodes = {entry.name: entry.inode() for entry in entries}
        except OSError:
            inodes = {}
        known = {**self._runs, **self._unreadable}
        for name, (inode, *_) in known.items():
            if inodes.get(name) != inode:
                self._runs.pop(name, None)
                self._unreadable.pop(name, None)
        for name, inode in inodes.items():
            is_known = name in self._runs or name in self._unreadable
            if not is_known and _RUN_NAME.fullmatch(name):
                self._check(name, inode)
        self._retry()
        self._names = sorted(self._runs, reverse=True)

    def _retry(self) -> None:
        self._retried_at = time.monotonic()
        for name, (inode, stamp) in [*self._unreadable.items()]:
            if self._stamp(name) != stamp:
                del self._unreadable[name]
                self._check(name, inode)
                self._names = sorted(self._runs, reverse=True)

    def _check(self, name: str, inode: int) -> None:
        stamp, directory = self._stamp(name), RunDirectory(self._root / name)
        try:
            directory.check()
            self._runs[name] = (inode, directory)
        except ConfigError as error:
            self._unreadable[name] = (inode, stamp)
            is_new = not stamp and directory.path.is_dir()  # its files are not written yet
            if not is_new and name not in self._logged:
                self._logged.add(name)
                more = f" (and {n} more)" if (n := len(error.lines) - 1) else ""
                _LOG.warning("The run %s is skipped: %s%s", name, error.lines[0], more)

    def _stamp(self, name: str) -> _Stamp:
        """Inodes, sizes and times of the run's files, which differ after any change; () if it has
        none."""
        stamp: list[int] = []
        for file in ("config.json", "events.jsonl"):
            try:
                status = os.lstat(f"{self._root}/{name}/{file}")
                stamp += [status.st_ino, status.st_size, status.st_mtime_ns]
            except OSError:
                continue
        return tuple(stamp)


def unknown_run(name: str) -> Message:
    """A message for a ConfigError: there is no run of this name."""
    return Message("no_run", {"name": name}, f"there is no run {name!r} here")
