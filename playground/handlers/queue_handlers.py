"""What requests for quick runs and for preparations have in common: they join the run queue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from playground.people.no_place import NoPlace
from playground.people.run_queue import RunQueue
from playground.people.visitors import Visitor
from playground.text import durations
from playground.text.paths import without_folders


class QueueHandlers:
    """Handlers of requests that join `queue`; their answers are in the language of `words`."""

    def __init__(self, queue: RunQueue, words: dict[str, Any]) -> None:
        self._queue = queue
        self._words = words

    def _join(
        self, visitor: Visitor, name: str, seconds: float | None, command: Sequence[str] = ()
    ) -> str:
        """`RunQueue.join_quick_run`. Returns an error message, or ""."""
        try:
            self._queue.join_quick_run(visitor, name, seconds, command)
        except NoPlace as refusal:
            return self._words["visitors"][refusal.reason]
        except OSError as error:
            return without_folders(str(error))
        return ""

    def _waiting_sentence(self, visitor: Visitor) -> str:
        """A sentence with the visitor's position in the queue and the time until their turn; "" if
        they are not in the queue."""
        position = self._queue.position(visitor)
        if position is None:
            return ""
        wait = durations.wait(position.seconds, position.estimated, self._words)
        return self._words["lab"]["quick_run"]["waits"].format(n=position.number, wait=wait)
