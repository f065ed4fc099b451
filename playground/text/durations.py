"""Durations and waiting times in the page's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def duration(seconds: float, words: Mapping[str, Any]) -> str:
    """A duration in seconds, or in minutes from 100 seconds on."""
    unit, size = ("seconds", 1) if seconds < 99.5 else ("minutes", 60)
    return words["status"][unit].format(n=round(seconds / size))


def wait(seconds: float | None, estimated: bool, words: Mapping[str, Any]) -> str:
    """A waiting time, as an estimate or an upper bound; "" if it is unknown."""
    if seconds is None:
        return ""
    template = words["visitors"]["about" if estimated else "at_most"]
    return template.format(time=duration(seconds, words))
