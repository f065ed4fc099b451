"""Queries of one SQLite file, and durable writes to it from many threads, which share commits.

A commit that survives a power cut waits for the disk (`synchronous=FULL`), which takes milliseconds
at best. So one thread writes: all jobs that arrive during a commit go into the next commit, and
each caller returns when its own job is on the disk.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

BUSY_TIMEOUT = 30.0  # seconds to wait for another process that writes the same file
Result = TypeVar("Result")
Job = Callable[[sqlite3.Connection], Result]


class Closed(RuntimeError):
    """The file is closed: nothing can be written."""


def connect(path: Path, timeout: float = BUSY_TIMEOUT) -> sqlite3.Connection:
    """A connection in WAL mode that any thread may use; the caller begins and commits transactions.

    It waits `timeout` seconds for another process that has locked the file. WAL frames have
    checksums: an incomplete commit counts as not written, and earlier ones stay valid.
    """
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    try:
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


class Reader:
    """Queries on one connection, one after the other. Threads may share a reader.

    sqlite3 lets other threads run after each row, so the rows of a long list take seconds on a busy
    server. A caller that must not wait for it needs another reader.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self.connection = connect(path, timeout)
        self._lock = threading.Lock()

    def __call__(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """The rows of the query. Raises Closed if the file is closed."""
        with self._lock:
            try:
                return self.connection.execute(query, values).fetchall()
            except sqlite3.ProgrammingError:
                raise Closed("this session is closed") from None

    def close(self) -> None:
        """Close the file, after the current query."""
        with self._lock:
            self.connection.close()


class Writer:
    """Executes jobs on one connection, in the order of the calls. Threads may share a writer."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._changed = threading.Condition()
        self._waiting: list[tuple[Job, Future]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._write, name=f"writer of {path.name}")
        self._thread.daemon = True
        self._thread.start()

    def __call__(self, job: Job[Result]) -> Result:
        """The result of the job, once its writes are on the disk.

        Raises:
            Closed: the file is closed; nothing was written.
            Exception: the job or its commit failed; nothing of the job was written.
        """
        future: Future[Result] = Future()
        with self._changed:
            if self._closed:
                raise Closed("the file is closed")
            self._waiting.append((job, future))
            self._changed.notify()
        return future.result()

    def close(self) -> None:
        """Execute pending jobs, then close the file."""
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
        for (_, future), (result, failure) in zip(batch, outcomes, strict=True):
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)

    def _attempt(self, job: Job[Result]) -> tuple[Result | None, Exception | None]:
        """(result, None), or (None, error) after the job's part of the transaction was undone."""
        self._connection.execute("SAVEPOINT job")
        try:
            result = job(self._connection)
        except Exception as error:
            if not self._connection.in_transaction:  # a full disk rolled back the whole transaction
                raise
            self._connection.execute("ROLLBACK TO job")
            self._connection.execute("RELEASE job")
            return None, error
        self._connection.execute("RELEASE job")
        return result, None
