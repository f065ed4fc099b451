"""The new events of a run: how a page asks for them, and what it receives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playground.content import charts
from playground.text import messages

LARGEST = 2**53  # beyond it, integers are not exact in JavaScript


def valid_cursor(sent: Any) -> dict[str, Any]:
    """The cursor that a page sent, with None for invalid values."""
    sent = sent if isinstance(sent, dict) else {}
    run, offset, elapsed = (sent.get(name) for name in ("run", "offset", "elapsed"))
    return {
        **sent,
        "run": run if isinstance(run, str) else None,
        "offset": offset if isinstance(offset, int) and 0 <= offset < LARGEST else None,
        "elapsed": elapsed if isinstance(elapsed, int | float) and 0 <= elapsed < LARGEST else None,
    }


def translated_delta(events: list[dict[str, Any]], words: Mapping[str, Any]) -> dict[str, Any]:
    """`charts.delta` of events, with the message of the status in the page's language."""
    delta = charts.delta(events)
    if status := delta["status"]:
        status["message"] = messages.translate(status, words)
        status.pop("cause", None)
    return delta
