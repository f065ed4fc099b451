"""Summaries of a run's events, given those of its log or of a part of the log.

A resume event at step N voids the events before it with step > N. All functions here ignore these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Statuses after which a run writes no more events.
FINAL = frozenset({"finished", "stopped", "failed"})

Event = dict[str, Any]


def replay(events: Iterable[Event]) -> list[Event]:
    """The events without those that a resume voided; the resume events are kept."""
    valid: list[Event] = []
    for event in events:
        if event["kind"] == "resume":
            valid = [earlier for earlier in valid if earlier["step"] <= event["step"]]
        valid.append(event)
    return valid


def of_kind(events: Iterable[Event], kind: str) -> list[Event]:
    """The valid events of one kind."""
    return [event for event in replay(events) if event["kind"] == kind]


def series(events: Iterable[Event]) -> dict[str, list[tuple[int, float]]]:
    """Metric -> [(step, value), …] in the order of the log, without nulls."""
    points: dict[str, list[tuple[int, float]]] = {}
    for event in of_kind(events, "metrics"):
        for metric, value in event["metrics"].items():
            if value is not None:
                points.setdefault(metric, []).append((event["step"], value))
    return points


def settings_at(config: Mapping[str, Any], events: Iterable[Event]) -> dict[str, Any]:
    """The settings after these events: `config` with the changes of β and learning rate."""
    settings = dict(config)
    for event in of_kind(events, "change"):
        settings |= event["settings"]
    return settings


def status(events: Iterable[Event]) -> Event | None:
    """The newest status event; None before the first. After a resume the status is "running"."""
    newest = None
    for event in events:
        if event["kind"] == "status":
            newest = event
        elif event["kind"] == "resume":
            newest = {**event, "kind": "status", "status": "running", "message": ""}
    return newest
