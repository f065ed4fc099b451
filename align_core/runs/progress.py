"""Messages from a process of a `child_process.ProcessGroup` to the process that started it."""

from __future__ import annotations

import json
import os
import signal
from typing import Any


def report_progress(done: int, count: int) -> None:
    """Print that `done` of `count` parts are done."""
    print_line({"done": done, "count": count})


def print_line(event: dict[str, Any]) -> None:
    """Print the event as a line of JSON."""
    print(json.dumps(event), flush=True)


def exit_with_stdin() -> None:
    """Wait until standard input is closed, then kill the process group that this process leads."""
    while os.read(0, 1024):
        pass
    os.killpg(os.getpid(), signal.SIGKILL)
