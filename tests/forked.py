"""Commands in processes forked from one that has imported the heavy libraries."""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing.connection import Connection
from typing import Any

from align_core.cli import main as cli
from align_core.runs import child_process, forkserver
from align_core.runs.directory import RunDirectory


def exit_code(*argv: Any, killed_at: int | None = None) -> int | None:
    """The exit code of a command, `align-core *argv`; its run is killed with kill -9 after its
    first event of step `killed_at`."""
    forkserver.preload()
    child = child_process.Child("tests.forked", killed_at, *map(str, argv))
    child.wait()
    return child.exit_code


def run(*argv: Any) -> None:
    """Run a command, which must succeed."""
    assert exit_code(*argv) == 0


def preloaded() -> tuple[set[str], int]:
    """The modules of a process that has run nothing yet, and the number of its built-in tasks."""
    forkserver.preload()
    child = child_process.Child("tests.fakes.preloaded")
    try:
        modules, tasks = child.connection.recv()
        return set(modules), tasks
    finally:
        child.end()


def main(connection: Connection, killed_at: int | None, *argv: str) -> None:
    """The main function of the process."""
    append = RunDirectory.append

    def fatal(self: RunDirectory, event: dict[str, Any]) -> None:
        append(self, event)
        if event["step"] == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)

    RunDirectory.append = fatal  # type: ignore[method-assign]
    sys.exit(cli.main([*argv]))
