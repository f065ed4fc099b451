"""The queue of commands to a run, filled by the page or a signal, emptied by the training loop."""

from __future__ import annotations

import math
import queue
import threading
from typing import Any

from align_core.config.messages import Message, plain


class Control:
    """A queue of commands to the run in this process.

    A command is `{"command": "pause" | "resume" | "step" | "stop" | "set"}`; "set" has new values
    of `beta`, `learning_rate` or `delay`, "stop" may have a `reason`, a `Message`. Threads and
    signal handlers may put commands at any time: `SimpleQueue.put` is re-entrant.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._stop: dict[str, Any] | None = None

    @property
    def stop_requested(self) -> bool:
        """Whether the queue has a stop that has not been taken yet, at any position."""
        return self._stop is not None

    def put(self, command: dict[str, Any]) -> None:
        """Add a command to the queue."""
        if command["command"] == "stop" and self._stop is None:
            self._stop = command
        self._queue.put(command)

    def take_stop(self) -> Message:
        """Take the requested stop and return its reason. `stop_requested` is then false until
        another stop is put."""
        stop, self._stop = self._stop or {}, None
        return stop.get("reason", plain(""))

    def pending(self) -> list[dict[str, Any]]:
        """Take all commands that are in the queue, oldest first."""
        return list(iter(lambda: self.wait(0), None))

    def wait(self, seconds: float = math.inf) -> dict[str, Any] | None:
        """Take the next command; None if none comes within `seconds` (0 or less: do not wait)."""
        try:
            return self._queue.get(timeout=min(max(seconds, 0), threading.TIMEOUT_MAX))
        except queue.Empty:
            return None
