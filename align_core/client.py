"""Runs seen from outside: start, pause, step, change, stop and follow them. Needs no torch.

Each run has its own process, so that a crash, a hang or an out-of-memory never touches the page.
A forkserver that has imported the heavy libraries ahead makes such a process ready in
milliseconds. Its children import the main script again: keep that lean.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import re
import threading
from collections.abc import Iterator
from datetime import datetime
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from align_core import catalogue
from align_core.configs import ConfigError, resolve, revise
from align_core.runs import FINAL, RunDirectory

COMMANDS = ("pause", "resume", "step", "stop", "set")
STOP_WITHIN = 10.0  # seconds; a run that has not stopped by then is killed
LEAVING = 5.0  # seconds; how long a process may take to go after its run has ended
_PRELOADED = "align_core.preload"
_RUN_NAME = re.compile(r"\d{4}-\d\d-\d\d-\d{6}-[a-z]+-[a-z]+(-\d+)?", re.ASCII)


class Busy(RuntimeError):
    """A run is live already: one at a time."""


class Client:
    """The runs under `root`, one of them live at most. Threads may share a client.

    `training` names the module whose `run` executes a run, imported only in the run's process.
    """

    def __init__(self, root: str | Path, training: str = "align_core.training") -> None:
        catalogue.stay_local()
        self.root = Path(root)
        self._training = training
        method = "forkserver" if _has_forkserver() else "spawn"
        self._context = multiprocessing.get_context(method)
        self._lock = threading.RLock()
        self._live: _Process | None = None
        self._directories: dict[str, RunDirectory] = {}
        self._unwritten: dict[str, dict[str, Any]] = {}  # last words of runs on a broken disk

    def warm(self) -> None:
        """Let the forkserver import the heavy libraries ahead. Returns at once."""
        if not _has_forkserver():
            return
        from multiprocessing import forkserver

        self._context.set_forkserver_preload([_PRELOADED, self._training])
        with _environment():
            forkserver.ensure_running()

    def start(self, **options: Any) -> str:
        """Start a run with the options of `configs.resolve`; returns its name.

        Raises:
            ConfigError: bad options, or a root that cannot be written.
            Busy: another run of this client is live.
        """
        config = resolve(**{"method": None, "task": None, **options})
        with self._lock:
            live = self.current()
            if live and (self._directory(live).status() or {}).get("status") in FINAL:
                self._live.wait(LEAVING)  # its last words are written, and it is about to leave
                live = self.current()
            if live:
                raise Busy(f"{live} is still running: stop it first, one run at a time")
            name = self._new_name(config.method, config.task)
            self._directories[name] = RunDirectory.create(self.root / name, config)
            self.warm()
            self._live = _Process(self._context, name, self.root / name, self._training)
        return name

    def send(self, run: str, command: str, **settings: float) -> bool:
        """Send a command to a live run; returns False if the run is over and cannot hear it.

        `command` is one of COMMANDS; `settings` are the `beta` or `learning_rate` of a "set". A
        run that has not obeyed a "stop" within STOP_WITHIN seconds is killed.

        Raises:
            ConfigError: an unknown command, or a setting out of its range.
        """
        if command not in COMMANDS:
            raise ConfigError(f"{command!r} is no command; it takes one of {', '.join(COMMANDS)}")
        if settings:
            if unknown := sorted(settings.keys() - {"beta", "learning_rate"}):
                raise ConfigError(f"{', '.join(unknown)} cannot change while a run is live")
            config = revise(self._directory(run).config, **settings)
            settings = {name: getattr(config, name) for name in settings}
        with self._lock:
            if self.current() != run:
                return False
            if command == "stop":
                timer = threading.Timer(STOP_WITHIN, self._kill, [self._live])
                timer.daemon = True
                timer.start()
            return self._live.send({"command": command, **settings})

    def events(self, run: str, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Events from byte `offset` on, and the offset to ask from next.

        Where a run's last words could not be written, they come at the end of every answer.
        """
        self.current()
        events, offset = RunDirectory(self._directory(run).path).events(offset)
        if run in self._unwritten:
            events.append(self._unwritten[run])
        return events, offset

    def status(self, run: str) -> dict[str, Any] | None:
        """The last status event of a run; None before the first."""
        with self._lock:
            live = self.current()
            directory = self._directory(run)
            status = self._unwritten.get(run) or directory.status()
            abandoned = status and status["status"] not in FINAL and run != live
            if abandoned and not directory.being_written():
                self._last_words(run, "This run's process ended before the run did")
                status = self._unwritten.get(run) or directory.status()
            return status

    def config(self, run: str) -> dict[str, Any]:
        """The configuration of a run."""
        return self._directory(run).config.model_dump()

    def runs(self) -> list[str]:
        """The names of all runs, newest first."""
        found = self.root.glob("*/config.json")
        names = [path.parent.name for path in found if _RUN_NAME.fullmatch(path.parent.name)]
        return sorted(names, reverse=True)

    def current(self) -> str | None:
        """The name of the live run, or None. Where its process has died, its log says so after."""
        with self._lock:
            if self._live is None:
                return None
            if self._live.alive():
                return self._live.run
            ended, self._live = self._live, None
            status = self._directory(ended.run).status()
            if status is None or status["status"] not in FINAL:
                self._last_words(ended.run, ended.last_words())
            return None

    def pid(self) -> int | None:
        """The process id of the live run, or None."""
        with self._lock:
            return self._live.pid if self.current() else None

    def close(self) -> None:
        """Stop the live run, keeping its model, and wait for its end."""
        with self._lock:
            run, process = self.current(), self._live
        if run:
            self.send(run, "stop")
            process.wait()
            self.current()

    def _kill(self, process: _Process) -> None:
        with self._lock:
            if process is self._live and process.alive():
                process.kill()

    def _directory(self, run: str) -> RunDirectory:
        """Raises ConfigError for a name that no run of this root has, whatever it contains."""
        if run not in self._directories:
            if not _RUN_NAME.fullmatch(run) or not (self.root / run / "config.json").is_file():
                raise ConfigError(f"{run!r} is no run here")
            self._directories[run] = RunDirectory(self.root / run)
        return self._directories[run]

    def _new_name(self, method: str, task: str) -> str:
        name = f"{datetime.now():%Y-%m-%d-%H%M%S}-{method}-{task}"
        taken = sum(1 for run in self.runs() if run == name or run.startswith(f"{name}-"))
        return f"{name}-{taken + 1}" if taken else name

    def _last_words(self, run: str, cause: str) -> None:
        directory = self._directory(run)
        kept = (
            "Its last saved model is kept" if directory.model_path.is_dir() else "It has no model"
        )
        failure = directory.fail(f"{cause}. {kept}; start it again to have it whole.")
        try:
            directory.append(failure)
        except OSError:
            self._unwritten[run] = failure
        finally:
            directory.close()


class _Process:
    """The process of a live run, with our end of the pipe to it."""

    def __init__(self, context: Any, run: str, path: Path, training: str) -> None:
        self.run = run
        self._killed = False
        self._connection, theirs = context.Pipe()
        # Daemonic: when the page exits, it sends SIGTERM, which the worker obeys as a stop.
        self._process = context.Process(target=_enter, args=(theirs, str(path), training))
        self._process.daemon = True
        with _environment():
            self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.is_alive()

    def send(self, command: dict[str, Any]) -> bool:
        try:
            self._connection.send(command)
        except OSError:
            return False
        return True

    def wait(self, timeout: float | None = None) -> None:
        """Until the process has ended. Leaves its exit code to `alive`, which a lock guards."""
        wait([self._process.sentinel], timeout)

    def kill(self) -> None:
        self._killed = True
        self._process.kill()

    def last_words(self) -> str:
        """Why the process ended without a final status."""
        with contextlib.suppress(EOFError, OSError):
            if self._connection.poll():
                return self._connection.recv()["message"].rstrip(".")
        code = self._process.exitcode
        if self._killed:
            return (
                f"The run did not stop within {STOP_WITHIN:.0f} seconds, so its process was ended"
            )
        if code == -9:
            return (
                "The process of this run was killed from outside (signal 9), as a person does, or "
                "the machine when its memory runs out"
            )
        if code < 0:
            return f"The process of this run crashed (signal {-code})"
        return f"The process of this run ended unexpectedly (exit code {code})"


def _enter(connection: Connection, path: str, training: str) -> None:
    """Where a run's process starts; what is imported here stays out of the page's process."""
    importlib.import_module("align_core.worker").main(connection, path, training)


def _has_forkserver() -> bool:
    return "forkserver" in multiprocessing.get_all_start_methods()


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """The environment in which the forkserver has to start.

    It imports ahead before it learns this process's sys.path, so that PYTHONPATH must tell it; and
    the libraries must not start threads in it, which would not survive the fork (numpy's BLAS and
    the memory pool of Arrow do).
    """
    home = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    wanted = {
        "PYTHONPATH": path,
        "OPENBLAS_NUM_THREADS": "1",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
