"""What the events of a run add up to: a log, whole or in part, folded in the order it was written.

A resume at step N voids the lines before it with step > N. Every function here leaves those out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

KINDS = frozenset({"status", "metrics", "samples", "token", "change", "resume"})
FINAL = frozenset({"finished", "stopped", "failed"})  # statuses after which a run says no more

Event = Mapping[str, Any]


def replay(events: Iterable[Event]) -> list[Event]:
    """The events that count; a resume is one of them."""
    valid: list[Event] = []
    for event in events:
        if event["kind"] == "resume":
            valid = [earlier for earlier in valid if earlier.get("step", 0) <= event["step"]]
        valid.append(event)
    return valid


def of_kind(events: Iterable[Event], kind: str) -> list[Event]:
    """The events of one kind."""
    return [event for event in replay(events) if event["kind"] == kind]


def series(events: Iterable[Event]) -> dict[str, list[tuple[int, float]]]:
    """Metric -> (step, value), in the order of the log; what could not be measured is left out."""
    found: dict[str, list[tuple[int, float]]] = {}
    for event in of_kind(events, "metrics"):
        for metric, value in event["metrics"].items():
            if value is not None:
                found.setdefault(metric, []).append((event["step"], value))
    return found


def turned(config: Mapping[str, Any], events: Iterable[Event]) -> dict[str, Any]:
    """`config` as it is after these events: β and the learning rate may change in a live run."""
    changed = dict(config)
    for event in of_kind(events, "change"):
        changed |= event["settings"]
    return changed


def status(events: Iterable[Event]) -> Event | None:
    """The newest status event; None before the first. A run that was resumed is running."""
    newest = None
    for event in events:
        if event["kind"] == "status":
            newest = event
        elif event["kind"] == "resume":
            newest = {**event, "kind": "status", "status": "running", "message": ""}
    return newest
