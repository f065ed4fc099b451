"""Runs in their own processes: start, pause, step, change, stop and follow them. Imports no torch.

Each run has its own process, so that a crash, a hang or running out of memory never affects the
page.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeGuard

from align_core.config.environment import set_library_environment
from align_core.config.errors import ConfigError
from align_core.config.fields import SETTINGS
from align_core.config.messages import Message, plain, to_event
from align_core.config.run_config import RunConfig, resolve, revise
from align_core.config.task_card import known_card, registered
from align_core.runs import child_process, forkserver
from align_core.runs.directory import RunDirectory
from align_core.runs.end_log import log_end
from align_core.runs.estimates import Estimates
from align_core.runs.events import FINAL
from align_core.runs.index import RunIndex

COMMANDS = ("pause", "resume", "step", "stop", "set")
STOP_TIMEOUT = 10.0  # seconds after which a run that has not stopped is killed
MAX_USED_KEPT = 1000  # runs whose time of last use is kept
EXIT_TIMEOUT = 5.0  # seconds that a process may take to exit after its run has ended
_LOG = logging.getLogger(__name__)


class Busy(RuntimeError):
    """No further run may be started now."""


class Client:
    """The runs under `root`, at most `at_once` of them live. Threads may share a client.

    `training` names the module whose `run` executes a run, imported only in the run's process.
    """

    def __init__(
        self, root: str | Path, training: str = "align_core.training.run", at_once: int = 1
    ) -> None:
        set_library_environment()
        self.root = Path(root)
        self.at_once = at_once
        self._training = training
        self._lock = threading.RLock()
        self._processes: dict[str, _Process] = {}  # run -> its live process, oldest first
        self.closed = False  # true after `close`: no run can start any more
        self._index = RunIndex(self.root)
        self._estimates = Estimates(self._index)
        self._used: OrderedDict[str, float] = OrderedDict()  # run -> time of its last use
        self._unwritten: dict[str, dict[str, Any]] = {}  # run -> final status that was not written

    def preload(self) -> None:
        """Start importing the heavy libraries in the forkserver, without waiting for it."""
        forkserver.preload(self._training)

    def start(self, **options: Any) -> str:
        """Start a run with the options of `run_config.resolve`; returns its name.

        Raises:
            ConfigError: bad options, a root that cannot be written, or no memory for a process.
            Busy: `at_once` processes of this client are alive already (see `make_room`), or the
                client is closed.
        """
        config = resolve(**{"method": None, "task": None, **options})
        with self._lock:
            alive = self._alive()
            if self.closed:
                raise Busy("this client is closed")
            if len(alive) >= self.at_once:
                runs = ", ".join(alive)
                raise Busy(f"still running: {runs}; at most {self.at_once} may run at once")
            name = self._new_name(config.method, config.task)
            try:
                directory = RunDirectory.create(self.root / name, config)
            except ConfigError:
                with contextlib.suppress(OSError):
                    (self.root / name).rmdir()
                raise
            try:
                self.preload()
                process = _Process(directory, config, self._training, self._alive)
            except (OSError, RuntimeError) as error:  # no memory, or too many files or threads
                directory.discard()
                with contextlib.suppress(OSError):
                    directory.path.rmdir()
                raise ConfigError(child_process.start_message(error)) from error
            self._processes[name] = process
        _LOG.info("start", extra={"fields": {"run": name}})
        return name

    def make_room(self) -> None:
        """If no slot is free, end the process of a run that has ended, even if that process is
        still evaluating. Waits at most EXIT_TIMEOUT seconds."""
        with self._lock:
            alive = self._alive()
            ended = [self._processes[run] for run in alive if self._ended(run)]
            if self.closed or len(alive) < self.at_once or not ended:
                return
            ended[0].send({"command": "stop"})
        ended[0].wait(EXIT_TIMEOUT)

    def free(self) -> bool:
        """Whether another run can start now, or after `make_room`."""
        with self._lock:
            return not self.closed and len(self.live()) < self.at_once

    def estimate(self, delay: float = 0.0, **options: Any) -> float | None:
        """Seconds that a run with these options will take; None if nothing comparable has run.

        `Estimates.seconds` has the rules; `delay` is the pause between two steps in seconds. Raises
        ConfigError for invalid options.
        """
        config = resolve(**{"method": None, "task": None, **options})
        return self._estimates.seconds(config, delay)

    def measure_machine(self) -> None:
        """Start to measure how fast this machine is, unless that is known; does not wait for it."""
        self._estimates.machine.measure()

    def knows_machine(self) -> bool:
        """Whether the speed of this machine is known; false while it is being measured."""
        return self._estimates.machine.slowness is not None

    def send(
        self, run: str, command: str, reason: Message | None = None, **settings: float
    ) -> bool:
        """Send a command to a live run; returns False if its process has ended.

        `command` is one of COMMANDS. `settings` go with "set": new values of `beta`,
        `learning_rate` or `delay`, the pause between two steps (0 to 10 seconds); a "set" without
        a change is not sent. `reason` is the final message of a run that "stop" ends. A run that
        has not stopped STOP_TIMEOUT seconds after a "stop" is killed.

        Raises:
            ConfigError: an unknown command, or a setting outside its range.
        """
        if command not in COMMANDS:
            raise ConfigError(
                plain(f"command got {command!r}, expected one of {', '.join(COMMANDS)}")
            )
        if settings:
            live = {name for name, setting in SETTINGS.items() if setting.live}
            if fixed := sorted(settings.keys() - live):
                line = f"{', '.join(fixed)} cannot change while a run is live"
                raise ConfigError(plain(line))
            revised = revise(self._directory(run).config, **settings).model_dump()
            settings = {name: revised[name] for name in settings}
        with self._lock:
            if run not in self._alive():
                return False
            process = self._processes[run]
            if command == "set" and settings.items() <= process.settings.items():
                return True
            process.settings |= settings
            if command == "stop":
                if process.cancel():
                    return True
                timer = threading.Timer(STOP_TIMEOUT, self._kill, [process])
                timer.daemon = True
                timer.start()
            fields = {} if reason is None else {"reason": reason}
            return process.send({"command": command, **fields, **settings})

    def events(self, run: str, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """The events from byte `offset` on, and the offset of the next call.

        A final status that could not be written to disk is appended to every answer.
        """
        self._alive()
        directory = self._directory(run)
        self.use(run)
        events, offset = directory.events(offset)
        if run in self._unwritten:
            events.append(self._unwritten[run])
        return events, offset

    def end_offset(self, run: str) -> float:
        """The byte offset where the log ends; `events` returns something from any smaller offset.
        It is infinite if a final status could not be written. Reads only the size of the file."""
        self.current()
        return math.inf if run in self._unwritten else self._directory(run).size()

    def status(self, run: str) -> dict[str, Any] | None:
        """The last status event of a run; None before the first."""
        with self._lock:
            alive = self._alive()
            directory = self._directory(run)
            status = self._unwritten.get(run) or directory.status()
            abandoned = status and status["status"] not in FINAL and run not in alive
            if abandoned and not directory.is_being_written():
                cause = Message("abandoned", {}, "This run's process ended before the run did")
                self._record_cut(directory, cause)
                status = self._unwritten.get(run) or directory.status()
            return status

    def config(self, run: str) -> dict[str, Any]:
        """The configuration of a run."""
        return self._directory(run).config.model_dump()

    def runs(self) -> list[str]:
        """The names of all runs that can be read, newest first."""
        return self._index.names()

    def use(self, run: str) -> None:
        """Record that somebody follows the run or uses its model now."""
        with self._lock:
            self._used[run] = time.monotonic()
            self._used.move_to_end(run)
            if len(self._used) > MAX_USED_KEPT:
                self._used.popitem(last=False)

    def used(self, seconds: float) -> list[str]:
        """The runs that were in `use` within the last `seconds`."""
        since = time.monotonic() - seconds
        with self._lock:
            return [run for run, then in self._used.items() if then > since]

    def has(self, run: Any) -> TypeGuard[str]:
        """Whether `run` is one of the `runs`."""
        return isinstance(run, str) and run in self._index

    def live(self) -> list[str]:
        """The names of the runs that have not ended, oldest first."""
        with self._lock:
            return [run for run in self._alive() if not self._ended(run)]

    def current(self) -> str | None:
        """The name of the newest run whose process is alive, or None."""
        return next(reversed(self._alive()), None)

    def pid(self) -> int | None:
        """The process id of the current run, or None."""
        with self._lock:
            run = self.current()
            return self._processes[run].pid if run else None

    def close(self) -> None:
        """Stop the live runs, keep their models, and wait. No run can start afterwards."""
        with self._lock:
            self.closed = True
            processes = {run: self._processes[run] for run in self._alive()}
        for run in processes:
            self.send(run, "stop")
        for process in processes.values():
            process.wait()
        self._alive()

    def _alive(self) -> list[str]:
        """The runs whose processes are alive, oldest first.

        For a process that died before its run ended, the failure is written to the run's log.
        """
        with self._lock:
            for run, process in list(self._processes.items()):
                if not process.alive():
                    del self._processes[run]
                    status = (directory := process.directory).status() or {}
                    if process.cancelled:
                        status = self._write_end(directory, directory.end("stopped"))
                    elif status.get("status") not in FINAL:
                        status = self._record_cut(directory, process.exit_reason())
                    log_end(run, status, process.exit_code)
            return list(self._processes)

    def _ended(self, run: str) -> bool:
        return (self._directory(run).status() or {}).get("status") in FINAL

    def _kill(self, process: _Process) -> None:
        with self._lock:
            if process is self._processes.get(process.run) and process.alive():
                seconds = round(STOP_TIMEOUT)
                line = f"The run did not stop within {seconds} seconds, so its process was ended"
                process.kill(Message("unstopped", {"seconds": seconds}, line))

    def _directory(self, run: str) -> RunDirectory:
        """The directory of a run. Raises ConfigError if there is no such run."""
        process = self._processes.get(run)
        return process.directory if process else self._index.directory(run)

    def _new_name(self, method: str, task: str) -> str:
        """The name of a new run. Creates its folder, so that no other process takes the name."""
        name = f"{datetime.now():%Y-%m-%d-%H%M%S}-{method}-{known_card(task).name}"
        for number in count(1):
            unique = name if number == 1 else f"{name}-{number}"
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                (self.root / unique).mkdir()
            except FileExistsError:
                if (self.root / unique).exists():
                    continue
            except OSError:  # `RunDirectory.create` reports it
                pass
            return unique
        raise AssertionError

    def _record_cut(self, directory: RunDirectory, cause: Message) -> dict[str, Any]:
        """Write that a run failed because its process ended before it did; returns the event."""
        has_model = directory.model_path.is_dir()
        model = "Its last saved model is kept" if has_model else "It has no model"
        line = f"{cause.text.rstrip('.')}. {model}; start the run again to get a complete one."
        message = Message("cut_off", {"cause": to_event(cause), "kept": has_model}, line)
        return self._write_end(directory, directory.end("failed", message))

    def _write_end(self, directory: RunDirectory, status: dict[str, Any]) -> dict[str, Any]:
        try:
            directory.append(status)
        except OSError:
            self._unwritten[directory.path.name] = status
        finally:
            directory.close()
        return status


class _Process(child_process.Child):
    """The process of a run, and the settings that were last sent to it."""

    def __init__(
        self, directory: RunDirectory, config: RunConfig, training: str, on_end: Callable[[], Any]
    ) -> None:
        self.run = directory.path.name
        self.directory = directory
        self.settings = revise(config).model_dump()
        allowed = tuple(registered())
        arguments = (str(directory.path), training, allowed)
        super().__init__("align_core.training.worker", *arguments, on_end=on_end)
