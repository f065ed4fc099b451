"""Errors as people read them: bad input, and what breaks.

Bad input is refused in lines that name the option, what it got and what it takes. Every error is
reported at once, so that a person mends a command in one go.
"""

from __future__ import annotations

import errno
import traceback
from pathlib import Path
from typing import Any

from align_core.config.messages import Message, in_event, plain


class ConfigError(ValueError):
    """Bad input. `lines` holds one message for each error."""

    def __init__(self, *lines: Message) -> None:
        super().__init__("\n".join(map(str, lines)))
        self.lines = list(lines)


class Collected:
    """Adds the lines of a ConfigError raised inside to `lines`, so that the next check follows."""

    def __init__(self, lines: list[Message]) -> None:
        self._lines = lines

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, ConfigError):
            self._lines += error.lines
        return isinstance(error, ConfigError)


def raise_collected(lines: list[Message]) -> None:
    """Raise a ConfigError with all of `lines`, where there are any."""
    if lines:
        raise ConfigError(*lines)


def complaint(option: str, got: Any, takes: str, code: str = "", **values: Any) -> Message:
    """One line of a `ConfigError`: the option, what it got, what it takes.

    Its `code` names what it takes; `values` are the numbers in that.
    """
    shown = "nothing" if got is None else repr(got) if isinstance(got, str) else str(got)
    shown = " ".join(shown.split())
    if len(shown) > 80:
        shown = shown[:77] + "..."
    line = f"{option} got {shown}; it takes {takes}"
    return Message(code, {"option": option, "got": shown, **values}, line)


def flag(field: str) -> str:
    """The name of a field as the command line spells it: learning_rate -> --learning-rate."""
    if field == "method":
        return "METHOD"
    return "-" + field if len(field) == 1 else "--" + field.replace("_", "-")


def in_plain_words(error: Exception, path: Path) -> Message:
    """One line that says what went wrong and where."""
    if isinstance(error, ConfigError):
        lines = [in_event(line) for line in error.lines]
        return Message("refused", {"lines": lines}, "; ".join(map(str, error.lines)))
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in str(error):
        line = f"The disk is full: {path} could not be written. Free some space"
        return Message("disk_full", {"path": str(path)}, line)
    if isinstance(error, OSError):
        file, why = str(error.filename or path), str(error.strerror or error)
        return Message("unusable", {"file": file, "why": why}, f"{file} cannot be used: {why}")
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return Message("memory", {}, "There is not enough memory: try a smaller batch size")
    frame = traceback.extract_tb(error.__traceback__)[-1]
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return plain(f"{what} ({Path(frame.filename).name}, line {frame.lineno})")
