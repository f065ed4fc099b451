"""Commands to a run, from wherever they come (a page, a signal) to the loop that obeys them."""

from __future__ import annotations

import queue
from typing import Any


class Control:
    """A queue of commands to the run in this process.

    A command is `{"command": "pause" | "resume" | "step" | "stop" | "set"}`; "set" carries new
    values of `beta` or `learning_rate`, "stop" may carry a `reason`. Threads and signal handlers
    may put commands at any time: `SimpleQueue.put` is re-entrant.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.stopping = False

    def put(self, command: dict[str, Any]) -> None:
        """Hand a command to the run. A stop shows in `stopping` at once."""
        if command["command"] == "stop":
            self.stopping = True
        self._queue.put(command)

    def pending(self) -> list[dict[str, Any]]:
        """The commands that have come since the last look, oldest first."""
        commands = []
        while True:
            try:
                commands.append(self._queue.get_nowait())
            except queue.Empty:
                return commands

    def wait(self) -> dict[str, Any]:
        """The next command, waiting for it as long as it takes."""
        return self._queue.get()
