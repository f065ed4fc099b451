"""User-facing messages: an English text, with a code and values so that a page can translate it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard


def single_line(text: str) -> str:
    """The text with a space for each line break, control character and half of a surrogate pair."""
    breaks = ("Cc", "Cs", "Zl", "Zp")
    return "".join(" " if unicodedata.category(char) in breaks else char for char in text)


def is_text(value: Any) -> TypeGuard[str]:
    """Whether the value is a text, not empty, without halves of surrogate pairs."""
    return (
        isinstance(value, str) and bool(value) and not any("\ud800" <= c <= "\udfff" for c in value)
    )


def is_line(value: Any, max_length: int) -> bool:
    """Whether the value is one line of text, not blank, of at most `max_length` characters."""
    return is_text(value) and bool(value.strip()) and value == single_line(value[:max_length])


@dataclass(frozen=True)
class Message:
    """One line of English `text`, as the command line prints it.

    `code` identifies the message, "" if it has no translation; `values` are the numbers and names
    in the text, as JSON values. `text` is made a `single_line`.
    """

    code: str
    values: Mapping[str, Any]
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", single_line(self.text))

    def __str__(self) -> str:
        return self.text


def plain(text: str) -> Message:
    """A message without a code, which a page shows untranslated."""
    return Message("", {}, text)


def problem(code: str, text: str, **values: Any) -> Message:
    """A message with the text `text.format(**values)`; the values are JSON values or messages."""
    plain_values = {
        name: to_event(value) if isinstance(value, Message) else value
        for name, value in values.items()
    }
    return Message(code, plain_values, text.format(**values))


class Invalid(ValueError):
    """Malformed data; `message` says what was expected, but not where."""

    def __init__(self, message: Message) -> None:
        super().__init__(message)
        self.message = message


def to_event(message: Message) -> dict[str, Any]:
    """The message as fields of an event: `message`, and `cause` if it has a code."""
    if not message.code:
        return {"message": message.text}
    cause = {"kind": message.code, "values": dict(message.values)}
    return {"message": message.text, "cause": cause}


def from_event(event: Mapping[str, Any]) -> Message:
    """The inverse of `to_event`. Missing or malformed fields of a foreign log become empty."""
    cause = event.get("cause")
    cause = cause if isinstance(cause, dict) else {}
    values = cause.get("values")
    values = values if isinstance(values, dict) else {}
    return Message(str(cause.get("kind", "")), values, str(event.get("message", "")))
