"""Commands to a run, from wherever they come (a page, a signal) to the loop that obeys them."""

from __future__ import annotations

import math
import queue
import threading
from typing import Any

from align_core.config.messages import Message, plain


class Control:
    """A queue of commands to the run in this process.

    A command is `{"command": "pause" | "resume" | "step" | "stop" | "set"}`; "set" carries new
    values of `beta`, `learning_rate` or `delay`, "stop" may carry a `reason`, a message. Threads
    and signal handlers may put commands at any time: `SimpleQueue.put` is re-entrant.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._stop: dict[str, Any] | None = None

    @property
    def stopping(self) -> bool:
        """Whether a stop was told and not obeyed yet; it shows ahead of the queue."""
        return self._stop is not None

    def put(self, command: dict[str, Any]) -> None:
        """Hand a command to the run."""
        if command["command"] == "stop" and self._stop is None:
            self._stop = command
        self._queue.put(command)

    def obey_stop(self) -> Message:
        """The reason of the stop that was told; `stopping` then shows a further one."""
        stop, self._stop = self._stop, None
        return stop.get("reason", plain(""))

    def pending(self) -> list[dict[str, Any]]:
        """The commands that have come since the last look, oldest first."""
        return list(iter(lambda: self.wait(0), None))

    def wait(self, seconds: float = math.inf) -> dict[str, Any] | None:
        """The next command, or None where none came within `seconds` (0 and less: at once)."""
        try:
            return self._queue.get(timeout=min(max(seconds, 0), threading.TIMEOUT_MAX))
        except queue.Empty:
            return None
