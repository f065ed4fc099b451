"""The run directory: config.json, events.jsonl, model/.

A reader of a run needs only its event log: the live view, a reload, comparisons and recorded runs
use the same code on the same file.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import json
import os
import shutil
import time
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError, option_error
from align_core.config.messages import Message, plain, to_event
from align_core.config.paths import user_path
from align_core.config.run_config import RunConfig
from align_core.config.safe_files import open_file, readable_size
from align_core.runs.event_schema import parse
from align_core.runs.events import status
from align_core.runs.files import write_atomically
from align_core.runs.json_lines import to_line
from align_core.runs.stored_config import read_config, read_scale

try:
    import fcntl
except ImportError:
    # Windows has no such locks, so another process that writes a run is not noticed.
    fcntl = None  # type: ignore[assignment]  # a module elsewhere

_PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")
_LOG_NAME = "events.jsonl"
MAX_LOG_BYTES = 256_000_000
_TAIL = 64_000  # bytes at the end of a log, which usually contain its newest status


class RunDirectory:
    """A run on disk: written by the process that executes it, readable by any other.

    If several processes execute it together, only the first one writes: `writes` is false in the
    others.
    """

    def __init__(self, path: str | Path, writes: bool = True) -> None:
        self.path = Path(path)
        self.writes = writes
        self._created: list[Path] = []  # folders that `create` made, innermost first
        self._log: int | None = None  # file descriptor of the writer
        self._offset = 0
        self._last: dict[str, Any] = {"step": 0, "seconds": 0.0}
        self._status: dict[str, Any] | None = None
        self._config: RunConfig | None = None  # once it has been read

    # Both paths are computed only when needed: a list of thousands of runs needs neither.

    @cached_property
    def model_path(self) -> Path:
        return self.path / "model"

    @cached_property
    def events_path(self) -> Path:
        return self.path / _LOG_NAME

    @staticmethod
    def errors(path: str | Path, option: str = "--run-dir") -> list[Message]:
        """Messages for a ConfigError, naming `option`, if no new folder can be created at `path`.

        Writes nothing.
        """
        if not isinstance(path, str | Path) or path == "":
            return [_no_folder(path, "this is not a path", option)]
        path = Path(path)
        problem = None
        try:
            str(user_path(path)).encode()  # libraries take only names in UTF-8
            parent = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
            if path.is_dir() and any(path.iterdir()):
                problem = "this one is not empty"
            elif not parent.is_dir():
                problem = f"{parent} is a file"
            elif not os.access(parent, os.W_OK | os.X_OK):
                problem = f"{parent} cannot be written"
        except (OSError, ValueError) as error:
            problem = getattr(error, "strerror", None) or str(error)
        return [_no_folder(path, problem, option)] if problem else []

    @classmethod
    def create(cls, path: str | Path, config: RunConfig) -> RunDirectory:
        """Create the directory and write config.json.

        Raises:
            ConfigError: the directory is not empty or cannot be written.
        """
        if lines := cls.errors(path):
            raise ConfigError(*lines)
        run = cls(path)
        run._created = [folder for folder in (run.path, *run.path.parents) if not folder.exists()]
        resolved = {**config.model_dump(), "versions": _versions()}
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            write_atomically(run.path / "config.json", json.dumps(resolved, indent=2) + "\n")
        except OSError as error:
            run.discard()
            raise ConfigError(_no_folder(path, error.strerror or str(error))) from None
        run._config = config
        return run

    def discard(self) -> None:
        """Delete all files of a run, and the folders that `create` made."""
        with contextlib.suppress(OSError):
            for path in self.path.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
        for folder in self._created:
            with contextlib.suppress(OSError):  # it may contain another run by now
                folder.rmdir()

    @classmethod
    def open(cls, path: str | Path, option: str = "--run-dir") -> RunDirectory:
        """The run at `path`.

        Raises:
            ConfigError: there is none, or it cannot be read; the message names `option`.
        """
        try:
            run = cls(user_path(path))
        except ValueError as error:
            raise ConfigError(option_error(option, path, f"a run directory: {error}")) from None
        run.check(option)
        return run

    def check(self, option: str = "--run-dir") -> None:
        """Raises ConfigError if the run cannot be read; the message names `option`."""
        self._config = self._read_config(option)
        try:
            self._check_log()
        except OSError as error:
            expected = f"a run directory; {_LOG_NAME} cannot be read: {error.strerror}"
            raise ConfigError(option_error(option, str(self.path), expected)) from None

    @property
    def reward_scale(self) -> float | None:
        """The nats that one point of the task's reward is worth in this run; None if unknown."""
        return read_scale(self.path / "config.json")

    def store_reward_scale(self, scale: float) -> None:
        """Write `reward_scale` into config.json."""
        if self.writes:
            path = self.path / "config.json"
            content = json.loads(path.read_text(encoding="utf-8"))
            write_atomically(path, json.dumps(content | {"reward_scale": scale}, indent=2) + "\n")

    @property
    def config(self) -> RunConfig:
        """The configuration in config.json."""
        if self._config is None:
            self._config = self._read_config("--run-dir")
        return self._config

    def _read_config(self, option: str) -> RunConfig:
        path = f"{self.path}/config.json"
        try:
            return read_config(path, option)
        except ConfigError:
            if not os.path.isfile(path):
                line = option_error(option, str(self.path), "a run directory")
                raise ConfigError(line) from None
            raise

    # Writing

    def append(self, event: dict[str, Any]) -> None:
        """Write one event. When this returns, the file holds its complete line.

        Raises:
            OSError: disk full, read-only, or another process is writing this run. The file then
                ends with the last complete line.
        """
        if not self.writes:
            return
        line = (to_line(event) + "\n").encode()
        if self._log is None:
            self._log = self._open_log()
        size = os.fstat(self._log).st_size
        try:
            while line:  # a disk that fills up writes a part of the line before it fails
                line = line[os.write(self._log, line) :]
        except OSError:
            os.ftruncate(self._log, size)
            raise

    def end(self, status: str, message: Message = plain("")) -> dict[str, Any]:  # noqa: B008 - frozen
        """A final status event, at the last step. Does not write it."""
        self.status()
        return {"kind": "status", **self._last, "status": status, **to_event(message)}

    def close(self) -> None:
        """Close the log, so that another process may write this run."""
        if self._log is not None:
            os.close(self._log)
            self._log = None

    def _open_log(self) -> int:
        log = os.open(self.events_path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            if not _lock(log, exclusive=True):
                raise BlockingIOError(errno.EAGAIN, "Another process is writing this run")
            os.ftruncate(log, self._complete_length())
        except OSError:
            os.close(log)
            raise
        return log

    def _complete_length(self) -> int:
        """The length of the log in bytes, without an incomplete last line."""
        return self.events_path.read_bytes().rfind(b"\n") + 1

    # Reading

    def events(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """The events from byte `offset` on, and the offset of the next call.

        An incomplete last line is left for the next call; lines that `event_schema` does not
        declare are skipped. A log that was deleted or damaged after `open` has no events.
        """
        lines = self._lines(offset)
        return list(filter(None, map(parse, lines.splitlines()))), offset + len(lines)

    def changes(self) -> list[dict[str, Any]]:
        """The change and resume events. Fast, because no other line is parsed."""
        lines = self._lines(0).splitlines()
        likely = (line for line in lines if b'"change"' in line or b'"resume"' in line)
        events = filter(None, map(parse, likely))
        return [event for event in events if event["kind"] in ("change", "resume")]

    def _lines(self, offset: int) -> bytes:
        """The complete lines from byte `offset` on."""
        try:
            with open_file(self.events_path) as file:
                file.seek(offset)
                content = file.read(MAX_LOG_BYTES)
        except OSError:
            return b""
        return content[: content.rfind(b"\n") + 1]

    def _check_log(self) -> None:
        """Raises OSError if there is a log that cannot be read."""
        with contextlib.suppress(FileNotFoundError):
            if readable_size(f"{self.path}/{_LOG_NAME}") > MAX_LOG_BYTES:
                raise OSError(errno.EFBIG, f"it has over {MAX_LOG_BYTES} bytes")

    def size(self) -> int:
        """The size of the log in bytes; 0 before the first event."""
        try:
            return self.events_path.stat().st_size
        except OSError:
            return 0

    def status(self) -> dict[str, Any] | None:
        """The last status event; None before the first. Reads only lines that are new since the
        last call."""
        events = self._tail() if self._offset == 0 else []
        if not events:
            events, self._offset = self.events(self._offset)
        if events:
            self._last = {key: events[-1][key] for key in ("step", "seconds")}
        self._status = status(events) or self._status
        return self._status

    def _tail(self) -> list[dict[str, Any]]:
        """Moves `_offset` to the end of the log. Returns the events from the newest status on.
        Empty if the last _TAIL bytes have no status."""
        size = self.size()
        lines = self._lines(max(0, size - _TAIL))
        events: list[dict[str, Any]] = []
        for line in reversed(lines.splitlines()):
            if (event := parse(line)) is not None:
                events.insert(0, event)
                if event["kind"] in ("status", "resume"):
                    self._offset = max(0, size - _TAIL) + len(lines)
                    return events
        return []

    def is_being_written(self) -> bool:
        """Whether a live process has this run's log open for writing; always False on Windows."""
        try:
            with open_file(self.events_path) as file:
                return not _lock(file.fileno(), exclusive=False)
        except OSError:
            return False


def _no_folder(path: Any, problem: str, option: str = "--run-dir") -> Message:
    expected = f"a new or empty folder that can be written; {problem}"
    path = str(path) if isinstance(path, Path) else path
    return option_error(option, path, expected, "folder", problem=problem)


def _lock(descriptor: int, exclusive: bool) -> bool:
    """Lock the log; False if another process holds it. The lock ends with its process."""
    if fcntl is None:
        return True
    mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    for _ in range(5):  # `is_being_written` in another process holds the lock for microseconds
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:  # a file system without locks
            return True
    return False


def _versions() -> dict[str, str]:
    return {package: version for package in _PACKAGES if (version := _version(package))}


@cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
