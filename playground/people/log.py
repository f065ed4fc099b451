"""The log on standard error: starts and ends of runs, refusals and faults, each on one line.

Lines are text or JSON. No line reveals anything about a visitor: no address, no token, and none of
their texts. Messages of libraries have the same form, cut to their first line.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MAX_PER_MINUTE = 20  # lines with the same event and reason; further ones are only counted
MAX_CHARACTERS = 300  # of a library's message
_SERVER = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
_OWN = ("playground", "align_core")
_ROOT = Path(__file__).resolve().parents[2]
_LOG = logging.getLogger("playground")


def refused(what: str, why: str) -> None:
    """Log the refusal of a `what` ("run", "request", …); `why` is the key of the reason."""
    _LOG.warning("refusal", extra={"fields": {"what": what, "why": why}})


def set_up(as_json: bool) -> None:
    """Send all log lines of this process, and Gradio's tracebacks, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(as_json))
    handler.addFilter(Floods())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _OWN:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(True)
    # Gradio and threads print the tracebacks of exceptions.
    traceback.print_exc = lambda *_, **__: _LOG.error("fault", exc_info=True)
    threading.excepthook = lambda error: _LOG.error(
        "fault", exc_info=(error.exc_type, error.exc_value or error.exc_type(), error.exc_traceback)
    )


def take_over_server() -> None:
    """Send uvicorn's lines to this log. Call it once uvicorn has set its own handlers."""
    for name in _SERVER:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


class Lines(logging.Formatter):
    """A record as one line: the time, the level, the event and its fields."""

    def __init__(self, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        now = datetime.fromtimestamp(record.created, UTC)
        line = {"time": f"{now:%Y-%m-%dT%H:%M:%SZ}", "level": record.levelname.lower()}
        line |= {key: value for key, value in _content(record).items() if value is not None}
        if self._as_json:
            return json.dumps(line, ensure_ascii=False, default=str)
        time, level, event, *fields = line.items()
        words = [time[1], level[1], event[1], *(f"{key}={_word(value)}" for key, value in fields)]
        return " ".join(words)


class Floods(logging.Filter):
    """Lets MAX_PER_MINUTE equal lines a minute pass; the next line counts those left out."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._counts: dict[tuple[Any, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        fields = _fields(record)
        key = (record.name, record.msg, fields.get("what"), fields.get("why"))
        minute = time.monotonic() // 60
        with self._lock:
            then, count = self._counts.get(key, (minute, 0))
            if then != minute:
                left_out, count = max(0, count - MAX_PER_MINUTE), 0
                if left_out:
                    record.fields = {**fields, "left_out": left_out}
            if len(self._counts) > 1000:
                self._counts.clear()
            self._counts[key] = (minute, count + 1)
        return count < MAX_PER_MINUTE


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    return getattr(record, "fields", {})


def _content(record: logging.LogRecord) -> dict[str, Any]:
    is_own = record.name.split(".")[0] in _OWN
    first = record.getMessage().partition("\n")[0][:MAX_CHARACTERS]
    content: dict[str, Any] = (
        {"event": first} if is_own else {"event": "library", "of": record.name, "says": first}
    )
    content |= _fields(record)
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        content |= {"error": type(error).__name__, "where": _where(error)}
    return content


def _where(error: BaseException) -> str | None:
    """The last line of this project's code in the traceback, or else the last line of any code;
    None if there is no traceback. The error's message is not logged, because it may contain a
    visitor's text."""
    frames = traceback.extract_tb(error.__traceback__)
    folders = [_ROOT / name for name in _OWN]
    for frame in reversed(frames):
        path = Path(frame.filename)
        if any(map(path.is_relative_to, folders)):
            return f"{path.relative_to(_ROOT)}:{frame.lineno}"
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else None


def _word(value: Any) -> str:
    text = str(value)
    plain = text and not any(character.isspace() or character in '"=' for character in text)
    return text if plain else json.dumps(text, ensure_ascii=False)
