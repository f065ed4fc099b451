"""Lines for people, which a program can say in other words.

Their text is English, as the command line prints it. A page in another language goes by the code
of a message and the values in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Message:
    """One line of `text`. `code` names what it says, "" where only the text does; `values` are
    the numbers and names in it, as JSON has them."""

    code: str
    values: Mapping[str, Any]
    text: str

    def __str__(self) -> str:
        return self.text


def plain(text: str) -> Message:
    """A message without a code: every page shows it as it is."""
    return Message("", {}, text)


def in_event(message: Message) -> dict[str, Any]:
    """A message as an event holds it: its `message`, and its `cause` where it has a code."""
    if not message.code:
        return {"message": message.text}
    cause = {"kind": message.code, "values": dict(message.values)}
    return {"message": message.text, "cause": cause}


def from_event(event: Mapping[str, Any]) -> Message:
    """The message that `in_event` wrote; of a log that somebody else wrote, what can be read."""
    cause = event.get("cause")
    cause = cause if isinstance(cause, dict) else {}
    values = cause.get("values")
    values = values if isinstance(values, dict) else {}
    return Message(str(cause.get("kind", "")), values, str(event.get("message", "")))
