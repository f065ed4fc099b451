"""The new events of a run: what a page sends to request them, and what it receives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from playground.content import charts
from playground.text import messages

LARGEST = 2**53  # beyond it, integers are not exact in JavaScript


@dataclass(frozen=True)
class Cursor:
    """How far a page has read the events of a run, and its state when it requests more.

    run:      the run that it shows, or None
    offset:   the offset of the first event that it does not have; None if it has no event
    elapsed:  the seconds since it began to show the run, if that is a recorded one
    chosen:   whether its visitor chose the run
    waits:    whether it waits for its visitor's turn in the queue
    hidden:   whether its tab is hidden
    presents: whether it is shown on a projector
    """

    run: str | None = None
    offset: int | None = None
    elapsed: float = 0.0
    chosen: bool = False
    waits: bool = False
    hidden: bool = False
    presents: bool = False

    @classmethod
    def of(cls, sent: Any) -> Cursor:
        """The cursor that a page sent, with the default in place of each invalid value."""
        sent = sent if isinstance(sent, dict) else {}
        run, offset, elapsed = (sent.get(name) for name in ("run", "offset", "elapsed"))
        flags = ("chosen", "waits", "hidden", "presents")
        return cls(
            run if isinstance(run, str) else None,
            offset if isinstance(offset, int) and 0 <= offset < LARGEST else None,
            elapsed if isinstance(elapsed, int | float) and 0 <= elapsed < LARGEST else 0.0,
            *(sent.get(flag) is True for flag in flags),
        )


def translated_delta(events: list[dict[str, Any]], words: Mapping[str, Any]) -> dict[str, Any]:
    """`charts.delta` of events, with the message of the status in the page's language."""
    delta = charts.delta(events)
    if status := delta["status"]:
        status["message"] = messages.translate(status, words)
        status.pop("cause", None)
    return delta
