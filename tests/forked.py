"""Commands in processes forked from one that has imported the heavy libraries."""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection
from typing import Any

from align_core.cli import main as cli
from align_core.runs import child_process, forkserver


def start(*argv: Any) -> child_process.Child:
    """The process of a command, `align-core *argv`."""
    forkserver.preload()
    return child_process.Child("tests.forked", *map(str, argv))


def run(*argv: Any) -> None:
    """Run a command, which must succeed."""
    child = start(*argv)
    child.wait(120)
    assert not child.alive() and child.exit_code == 0


def main(connection: Connection, *argv: str) -> None:
    """The main function of the process."""
    sys.exit(cli.main([*argv]))
