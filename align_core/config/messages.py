"""Lines for people that a program can say in other words.

They are in English, as the command line prints them. A page in another language goes by the `kind`
of a line and the `values` in it. Lines without a kind are but text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Told(str):
    """A line, its `kind` ("": none), and the `values` that it tells, as JSON has them."""

    kind: str
    values: dict[str, Any]

    def __new__(cls, line: str, kind: str = "", /, **values: Any) -> Told:
        told = super().__new__(cls, line)
        told.kind, told.values = kind, values
        return told


def in_event(line: str) -> dict[str, Any]:
    """A line as an event holds it: its `message`, and its `cause` where it has a kind."""
    if not getattr(line, "kind", ""):
        return {"message": str(line)}
    return {"message": str(line), "cause": {"kind": line.kind, "values": line.values}}


def from_event(event: Mapping[str, Any]) -> Told:
    """The line that `in_event` wrote. Whatever a log says, it is a line."""
    cause = event.get("cause")
    cause = cause if isinstance(cause, dict) else {}
    told = Told(str(event.get("message", "")))
    values = cause.get("values")
    told.kind = str(cause.get("kind", ""))
    told.values = values if isinstance(values, dict) else {}
    return told
