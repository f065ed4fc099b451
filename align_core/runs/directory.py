"""The run directory: config.json, events.jsonl, model/.

The event log is all that a reader of a run needs: the live view, a reload, the comparison of old
runs and recorded runs are the same code on the same file.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import json
import math
import os
import shutil
import time
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError, option_error
from align_core.config.messages import Message, plain, to_event
from align_core.config.paths import user_path
from align_core.config.run_config import RunConfig, validated
from align_core.runs.event_schema import parse
from align_core.runs.events import status
from align_core.runs.files import write_atomically

try:
    import fcntl
except ImportError:
    # Windows: no lock shows whether another process is writing a run.
    fcntl = None  # type: ignore[assignment]  # a module elsewhere

_PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")


_MEASURED = ("versions", "reward_scale")  # keys of config.json besides the configuration


def to_line(event: dict[str, Any]) -> str:
    """An event as one line of strict JSON: NaN and infinities become null, unpaired surrogates
    "?"."""
    return json.dumps(_strict(event), allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return value


def read_options(path: str | Path, option: str) -> dict[str, Any]:
    """The options in the config.json of a run, not validated.

    Raises:
        ConfigError: `path` is no such file; the message names `option`.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ConfigError(option_error(option, str(path), "the config.json of a run"))
    return {key: value for key, value in content.items() if key not in _MEASURED}


class RunDirectory:
    """A run on disk: written by the process that executes it, readable by any other.

    If several processes execute it together, only the first one writes: `writes` is false in the
    others.
    """

    def __init__(self, path: str | Path, writes: bool = True) -> None:
        self.path = Path(path)
        self.writes = writes
        self.model_path = self.path / "model"
        self.events_path = self.path / "events.jsonl"
        self._created: list[Path] = []  # folders that `create` made, innermost first
        self._log: int | None = None  # file descriptor of the writer
        self._offset = 0
        self._last: dict[str, Any] = {"step": 0, "seconds": 0.0}
        self._status: dict[str, Any] | None = None

    @staticmethod
    def errors(path: str | Path, option: str = "--run-dir") -> list[Message]:
        """Messages for a ConfigError, naming `option`, if no new folder can be created at `path`.

        Writes nothing.
        """
        if not isinstance(path, str | Path) or path == "":
            return [_no_folder(path, "this is no path", option)]
        path = Path(path)
        problem = None
        try:
            str(path).encode()  # libraries take only names in UTF-8
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
            raise ConfigError(_no_folder(path, error.strerror)) from None
        return run

    def discard(self) -> None:
        """Delete all files of a run that `create` made, and those of its folders that are new."""
        with contextlib.suppress(OSError):
            for path in self.path.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
        for folder in self._created:
            with contextlib.suppress(OSError):  # another run may be in it by now
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
        run._config(option)
        try:
            run.events(run.size())  # opens the log, and reads none of its lines
        except OSError as error:
            expected = f"a run directory; {run.events_path.name} cannot be read: {error.strerror}"
            raise ConfigError(option_error(option, str(path), expected)) from None
        return run

    @property
    def reward_scale(self) -> float | None:
        """The nats of one point of the task's reward in this run; None if unknown."""
        try:
            content = json.loads((self.path / "config.json").read_text(encoding="utf-8"))
            scale = content["reward_scale"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        positive = isinstance(scale, int | float) and math.isfinite(scale) and scale > 0
        return float(scale) if positive else None

    def store_reward_scale(self, scale: float) -> None:
        """Write `reward_scale` into config.json."""
        if self.writes:
            path = self.path / "config.json"
            content = json.loads(path.read_text(encoding="utf-8"))
            write_atomically(path, json.dumps(content | {"reward_scale": scale}, indent=2) + "\n")

    @property
    def config(self) -> RunConfig:
        """The configuration in config.json."""
        return self._config("--run-dir")

    def _config(self, option: str) -> RunConfig:
        if not (self.path / "config.json").is_file():
            raise ConfigError(option_error(option, str(self.path), "a run directory"))
        config, lines = validated(RunConfig, read_options(self.path / "config.json", option))
        if config is None:
            where = self.path / "config.json"
            raise ConfigError(*(plain(f"{where}: {line}") for line in lines))
        return config

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

    def fail(self, message: Message) -> dict[str, Any]:
        """The final status event of a failed run, at its last step. Does not write it."""
        self.status()
        return {"kind": "status", **self._last, "status": "failed", **to_event(message)}

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
        declare are skipped.
        """
        try:
            with self.events_path.open("rb") as file:
                file.seek(offset)
                content = file.read()
        except FileNotFoundError:
            return [], offset
        complete = content[: content.rfind(b"\n") + 1]
        events = filter(None, map(parse, complete.splitlines()))
        return list(events), offset + len(complete)

    def size(self) -> int:
        """The size of the log in bytes; 0 before the first event."""
        try:
            return self.events_path.stat().st_size
        except FileNotFoundError:
            return 0

    def status(self) -> dict[str, Any] | None:
        """The last status event; None before the first. Reads only what was appended since."""
        events, self._offset = self.events(self._offset)
        if events:
            self._last = {key: events[-1][key] for key in ("step", "seconds")}
        self._status = status(events) or self._status
        return self._status

    def is_being_written(self) -> bool:
        """Whether a live process has this run's log open for writing; always False on Windows."""
        if not self.events_path.exists():
            return False
        with self.events_path.open("rb") as file:
            return not _lock(file.fileno(), exclusive=False)


def _no_folder(path: Any, problem: str, option: str = "--run-dir") -> Message:
    expected = f"a new or empty folder that can be written; {problem}"
    path = str(path) if isinstance(path, Path) else path
    return option_error(option, path, expected, "folder", problem=problem)


def _lock(descriptor: int, exclusive: bool) -> bool:
    """Lock the log; False if another process holds it. The lock ends with its process."""
    if fcntl is None:
        return True
    mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    for _ in range(5):  # `is_being_written` of another process holds it for microseconds
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:  # a file system without locks
            return True
    return False


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
