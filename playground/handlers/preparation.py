"""Requests to prepare the optimum of a visitor's own task, and to follow the progress."""

from __future__ import annotations

from typing import Any

from playground.handlers.queue_handlers import QueueHandlers
from playground.people.visitors import Visitor
from playground.text import messages

MAX_ENDED_KEPT = 300  # ended preparations whose states are kept
_PREFIX = "prepare-"  # of the names of preparations among the queue's quick runs
_MODULE = "align_core.evaluation.prepare_process"


class PreparationHandlers(QueueHandlers):
    """Handlers of the button Prepare. A visitor can prepare only their own task, one at a time.

    Gradio passes each of them one value, which is not used.
    """

    def prepare(self, _: Any = None, visitor: Visitor = None) -> str:
        """Start or queue the preparation. Returns an error message, or ""."""
        card = self._queue.visitors.own.card(visitor)
        if visitor is None or card is None or card.reference is None:
            return self._words["own"]["missing"]
        self._queue.visitors.own.touch(visitor)
        self._queue.quick_runs.prune(_PREFIX, MAX_ENDED_KEPT)
        return self._join(visitor, _name(visitor), None, (_MODULE, card.full_name, card.reference))

    def stop_preparing(self, _: Any = None, visitor: Visitor = None) -> None:
        """Stop the visitor's preparation, or remove it from the queue."""
        if visitor is None:
            return
        if self._queue.queued_quick_run(visitor) == _name(visitor):
            self._queue.leave(visitor)
        else:
            self._queue.quick_runs.stop(_name(visitor))

    def preparation(self, _: Any = None, visitor: Visitor = None) -> dict[str, Any]:
        """The state of the visitor's newest preparation.

        status:   None if there is none, "waiting" in the queue, or as in `QuickRuns.state`
        sentence: the state in words
        done:     the share that is done, from 0 to 1
        """
        words = self._words["own"]["preparing"]
        name = _name(visitor) if visitor else ""
        if visitor and self._queue.is_quick_run_queued(name):
            return {"status": "waiting", "sentence": self._waiting_sentence(visitor), "done": 0.0}
        newest = self._queue.quick_runs.state(name) if visitor else None
        if newest is None:
            return {"status": None, "sentence": "", "done": 0.0}
        status = newest["status"]
        if status == "running":
            sentence = words["running" if newest["count"] else "starting"].format(**newest)
            done = newest["done"] / max(1, newest["count"])
            return {"status": status, "sentence": sentence, "done": done}
        sentence = messages.translate(newest, self._words) or words[status]
        return {"status": status, "sentence": sentence, "done": 1.0}


def _name(visitor: str) -> str:
    return f"{_PREFIX}{visitor[:16]}"
