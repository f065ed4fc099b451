"""Writes to one SQLite file from many threads: one fsync for all that wait, and none forgotten.

A commit that is to survive a power cut waits for the disk (`synchronous=FULL`), milliseconds at
best. So one thread writes: what is asked for while it waits goes into the next commit together,
and each caller goes on when its own part is on the disk.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

BUSY = 30.0  # seconds to wait for another process that writes the same file
Result = TypeVar("Result")
Job = Callable[[sqlite3.Connection], Result]


class Closed(RuntimeError):
    """The file was closed: nothing more is written."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection in WAL mode that any thread may use; transactions are the caller's.

    A WAL frame carries a checksum, and a commit is its last frame: one that was torn counts as
    never written, and no commit before it is touched.
    """
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


class Writer:
    """Runs jobs on one connection, in the order in which they come. Threads share a writer."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._changed = threading.Condition()
        self._waiting: list[tuple[Job, Future]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._write, name=f"writer of {path.name}")
        self._thread.daemon = True
        self._thread.start()

    def __call__(self, job: Job[Result]) -> Result:
        """What the job returns, once what it wrote is on the disk.

        Raises:
            Closed: nothing was written.
            Exception: what the job raised, or why the disk refused; nothing of it was written.
        """
        future: Future[Result] = Future()
        with self._changed:
            if self._closed:
                raise Closed("the file is closed")
            self._waiting.append((job, future))
            self._changed.notify()
        return future.result()

    def close(self) -> None:
        """Write what waits, then close the file."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                batch, self._waiting = self._waiting, []
            if not batch:
                self._connection.close()
                return
            self._commit(batch)

    def _commit(self, batch: list[tuple[Job, Future]]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(job) for job, _ in batch]
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), (result, error) in zip(batch, outcomes, strict=True):
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

    def _attempt(self, job: Job[Result]) -> tuple[Result | None, Exception | None]:
        """One job's part of the transaction, undone by itself where the job fails."""
        self._connection.execute("SAVEPOINT job")
        try:
            result = job(self._connection)
        except Exception as error:
            if not self._connection.in_transaction:  # a full disk undid all of it
                raise
            self._connection.execute("ROLLBACK TO job")
            self._connection.execute("RELEASE job")
            return None, error
        self._connection.execute("RELEASE job")
        return result, None
