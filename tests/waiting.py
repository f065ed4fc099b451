"""Waiting for a condition, as no test sleeps for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], seconds: float = 120) -> T:
    """Wait until `condition` is true, and return its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "this did not happen in time"
        time.sleep(0.005)
    return value


def gone(pid: int) -> bool:
    """Whether a process has ended, even if its parent has not yet read its exit code."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
