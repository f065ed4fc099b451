"""Times and places in line, in the words of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def duration(seconds: float, words: Mapping[str, Any]) -> str:
    """So many seconds or, where they are many, minutes."""
    unit, size = ("seconds", 1) if seconds < 99.5 else ("minutes", 60)
    return words["status"][unit].format(n=round(seconds / size))


def wait(seconds: float | None, sure: bool, words: Mapping[str, Any]) -> str:
    """How long it is until one's turn; nothing where nobody knows."""
    if seconds is None:
        return ""
    template = words["visitors"]["about" if sure else "at_most"]
    return template.format(time=duration(seconds, words))
