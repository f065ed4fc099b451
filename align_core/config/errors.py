"""Error messages for users: invalid input, and failures.

Invalid input is reported as one message for each error, naming the option, what it got and what was
expected. All errors are reported together, so that a user can correct them in one go.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from align_core.config.messages import Message, plain, to_event

# Exceptions from the code of a user's task or method. A sys.exit() there is reported as a failure,
# too, and does not end the process.
CODE_ERRORS = (Exception, SystemExit)


class ConfigError(ValueError):
    """Invalid input. `lines` holds one `Message` for each error."""

    def __init__(self, *lines: Message) -> None:
        super().__init__("\n".join(map(str, lines)))
        self.lines = list(lines)


@contextmanager
def collect_errors(lines: list[Message]) -> Iterator[None]:
    """A context that catches a ConfigError and appends its messages to `lines`."""
    try:
        yield
    except ConfigError as error:
        lines += error.lines


def raise_collected(lines: list[Message]) -> None:
    """Raise a ConfigError with `lines` unless there are none."""
    if lines:
        raise ConfigError(*lines)


def option_error(option: str, got: Any, expected: str, code: str = "", **values: Any) -> Message:
    """A message for a `ConfigError`: "OPTION got GOT, expected EXPECTED".

    Args:
        option: the option, spelled as a user knows it: "--beta".
        got: the invalid value, cut to 80 characters; None is shown as "nothing".
        expected: what the option accepts; it may end in "; " and the reason for the refusal.
        code: identifies the message, so that the page can translate it.
        values: the numbers and names within `expected`, for the translation.
    """
    line = f"{option} got {shown(got)}, expected {expected}"
    return Message(code, {"option": option, "got": shown(got), **values}, line)


def shown(value: Any) -> str:
    """A value in one line of at most 80 characters; None is "nothing"."""
    try:
        text = "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)
    except Exception:  # an integer of over 4,300 digits, or an object whose __str__ fails
        text = f"a value of type {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= 80 else text[:77] + "..."


def listed(names: Sequence[str]) -> str:
    """The names as in a sentence: "a, b and c"."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def flag(field: str) -> str:
    """A field's name as the command line spells it: learning_rate -> --learning-rate."""
    if field == "method":
        return "METHOD"
    return "-" + field if len(field) == 1 else "--" + field.replace("_", "-")


def one_line(error: BaseException) -> str:
    """The error in one line: "ValueError: what it says (file.py, line 3)".

    The file and line are those of the innermost frame outside Python's import system; if there is
    no such frame, they are left out.
    """
    frames = traceback.extract_tb(error.__traceback__)
    places = [(f.filename, f.lineno) for f in frames if "importlib" not in f.filename]
    description: object = error
    if isinstance(error, SyntaxError) and error.filename:
        places, description = [(error.filename, error.lineno)], error.msg
    line = " ".join(f"{type(error).__name__}: {description}".split())
    if places:
        file, number = places[-1]
        line += f" ({Path(file).name}, line {number})"
    return line


def describe_error(error: BaseException, path: Path) -> Message:
    """A message that says what failed, and where: the error's file, or `path` if it has none."""
    if isinstance(error, ConfigError):
        lines = [to_event(line) for line in error.lines]
        return Message("refused", {"lines": lines}, "; ".join(map(str, error.lines)))
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in str(error):
        line = f"The disk is full: {path} could not be written. Free some space"
        return Message("disk_full", {"path": str(path)}, line)
    if isinstance(error, OSError):
        file, why = str(error.filename or path), str(error.strerror or error)
        return Message("unusable", {"file": file, "why": why}, f"{file} cannot be used: {why}")
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return Message("memory", {}, "There is not enough memory: try a smaller batch size")
    return plain(one_line(error))
