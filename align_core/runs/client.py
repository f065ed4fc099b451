"""Runs seen from outside: start, pause, step, change, stop and follow them. Needs no torch.

Each run has its own process, so that a crash, a hang or an out-of-memory never touches the page.
"""

from __future__ import annotations

import contextlib
import re
import threading
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from align_core.config.environment import stay_local
from align_core.config.errors import ConfigError
from align_core.config.fields import SETTINGS
from align_core.config.messages import Message, in_event, plain
from align_core.config.run_config import RunConfig, resolve, revise
from align_core.config.task_card import card, introduced
from align_core.runs import child_process, presets
from align_core.runs.directory import RunDirectory
from align_core.runs.durations import Speed, speed, time_needed
from align_core.runs.events import FINAL

COMMANDS = ("pause", "resume", "step", "stop", "set")
STOP_WITHIN = 10.0  # seconds; a run that has not stopped by then is killed
LEAVING = 5.0  # seconds; how long a process may take to go after its run has ended
# Runs that agree in these are about as fast, step for step.
_PACE = (
    *("method", "task", "model", "pair_source"),
    *("freeze_trunk", "batch_size", "lora_r"),
)
_RUN_NAME = re.compile(r"\d{4}-\d\d-\d\d-\d{6}-[a-z][a-z0-9-]*-[a-z][a-z0-9_]*(-\d+)?", re.ASCII)


class Busy(RuntimeError):
    """As many runs are live as may be."""


class Client:
    """The runs under `root`, at most `at_once` of them live. Threads may share a client.

    `training` names the module whose `run` executes a run, imported only in the run's process.
    """

    def __init__(
        self, root: str | Path, training: str = "align_core.training.run", at_once: int = 1
    ) -> None:
        stay_local()
        self.root = Path(root)
        self.at_once = at_once
        self._training = training
        self._lock = threading.RLock()
        self._processes: dict[str, _Process] = {}  # that are alive, by their run, oldest first
        self._closed = False
        self._directories: dict[str, RunDirectory] = {}
        self._unwritten: dict[str, dict[str, Any]] = {}  # how runs on a broken disk ended

    def warm(self) -> None:
        """Let the forkserver import the heavy libraries ahead. Returns at once."""
        child_process.warm(self._training)

    def start(self, **options: Any) -> str:
        """Start a run with the options of `run_config.resolve`; returns its name.

        Raises:
            ConfigError: bad options, or a root that cannot be written.
            Busy: `at_once` runs of this client are live, or it is closed.
        """
        config = resolve(**{"method": None, "task": None, **options})
        with self._lock:
            free, present = self.free(), self._present()
            if free and len(present) >= self.at_once:
                ended = self._processes[next(run for run in present if self._ended(run))]
                ended.send({"command": "stop"})  # it may be measuring what it kept
                ended.wait(LEAVING)
                present = self._present()
            if self._closed or len(present) >= self.at_once:
                runs = " and ".join(present)
                raise Busy(f"{runs} is still running: stop it first, {self.at_once} at a time")
            name = self._new_name(config.method, config.task)
            self._directories[name] = RunDirectory.create(self.root / name, config)
            self.warm()
            self._processes[name] = _Process(name, self.root / name, self._training, config)
        return name

    def free(self) -> bool:
        """Whether another run can start."""
        with self._lock:
            return not self._closed and len(self.live()) < self.at_once

    def estimate(self, delay: float = 0.0, **options: Any) -> float | None:
        """Seconds that a run with these options will take, as fast as the newest run like it was.

        Before the first run like it, as fast as the recorded run of a preset was, on its machine;
        None where there is no such preset. `delay` are the seconds that it lets pass between two
        steps. Raises ConfigError for bad options.
        """
        config = resolve(**{"method": None, "task": None, **options})
        known = self._newest_speed(config)
        if known is None:
            alike = (known for other, known in self._recorded if _alike(config, other))
            known = next(alike, None)
        return known and time_needed(config.model_dump(), known, delay)

    def send(self, run: str, command: str, **settings: float) -> bool:
        """Send a command to a live run; returns False if the run is over and cannot hear it.

        `command` is one of COMMANDS; `settings` are what a "set" changes: `beta`, `learning_rate`,
        or `delay`, the seconds that the run lets pass between two steps (0 to 10); what is so
        already is not sent. A run that has not obeyed a "stop" within STOP_WITHIN seconds is
        killed.

        Raises:
            ConfigError: an unknown command, or a setting out of its range.
        """
        if command not in COMMANDS:
            raise ConfigError(
                plain(f"{command!r} is no command; it takes one of {', '.join(COMMANDS)}")
            )
        if settings:
            if unknown := sorted(
                settings.keys() - {one.name for one in SETTINGS.values() if one.live}
            ):
                line = f"{', '.join(unknown)} cannot change while a run is live"
                raise ConfigError(plain(line))
            revised = revise(self._directory(run).config, **settings).model_dump()
            settings = {name: revised[name] for name in settings}
        with self._lock:
            if run not in self._present():
                return False
            process = self._processes[run]
            if command == "set" and settings.items() <= process.settings.items():
                return True
            process.settings |= settings
            if command == "stop":
                timer = threading.Timer(STOP_WITHIN, self._kill, [process])
                timer.daemon = True
                timer.start()
            return process.send({"command": command, **settings})

    def events(self, run: str, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Events from byte `offset` on, and the offset to ask from next.

        A run's last status, where it could not be written, comes at the end of every answer.
        """
        self._present()
        events, offset = RunDirectory(self._directory(run).path).events(offset)
        if run in self._unwritten:
            events.append(self._unwritten[run])
        return events, offset

    def grown(self, run: str, offset: int) -> bool:
        """Whether `events` has more of a run past byte `offset`. Costs a glance at the file."""
        self.current()
        return self._directory(run).size() > offset or run in self._unwritten

    def status(self, run: str) -> dict[str, Any] | None:
        """The last status event of a run; None before the first."""
        with self._lock:
            present = self._present()
            directory = self._directory(run)
            status = self._unwritten.get(run) or directory.status()
            abandoned = status and status["status"] not in FINAL and run not in present
            if abandoned and not directory.being_written():
                cause = Message("abandoned", {}, "This run's process ended before the run did")
                self._record_end(run, cause)
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

    def live(self) -> list[str]:
        """The names of the runs that go on, oldest first."""
        with self._lock:
            return [run for run in self._present() if not self._ended(run)]

    def current(self) -> str | None:
        """The name of the newest run whose process is there, or None."""
        return next(reversed(self._present()), None)

    def pid(self) -> int | None:
        """The process id of the current run, or None."""
        with self._lock:
            run = self.current()
            return self._processes[run].pid if run else None

    def close(self) -> None:
        """Stop the live runs, keeping their models, and wait for their end. None starts later."""
        with self._lock:
            self._closed = True
            processes = {run: self._processes[run] for run in self._present()}
        for run in processes:
            self.send(run, "stop")
        for process in processes.values():
            process.wait()
        self._present()

    def _present(self) -> list[str]:
        """The runs whose processes are alive, oldest first. Where one has died, its log says so
        after."""
        with self._lock:
            for run, process in list(self._processes.items()):
                if not process.alive():
                    del self._processes[run]
                    if not self._ended(run):
                        self._record_end(run, process.why_ended())
            return list(self._processes)

    def _ended(self, run: str) -> bool:
        return (self._directory(run).status() or {}).get("status") in FINAL

    def _newest_speed(self, config: RunConfig) -> Speed | None:
        for run in self.runs():
            with contextlib.suppress(ConfigError):  # a folder of another version
                alike = _alike(config, self._directory(run).config)
                if alike and (known := speed(self.events(run)[0])):
                    return known
        return None

    @cached_property
    def _recorded(self) -> list[tuple[RunConfig, Speed]]:
        return presets.speeds()

    def _kill(self, process: _Process) -> None:
        with self._lock:
            if process is self._processes.get(process.run) and process.alive():
                line = (
                    f"The run did not stop within {STOP_WITHIN:.0f} seconds, so its process was "
                    "ended"
                )
                process.kill(Message("unstopped", {"seconds": round(STOP_WITHIN)}, line))

    def _directory(self, run: str) -> RunDirectory:
        """Raises ConfigError for a name that no run of this root has, whatever it contains."""
        if run not in self._directories:
            if not _RUN_NAME.fullmatch(run) or not (self.root / run / "config.json").is_file():
                raise ConfigError(no_run(run))
            self._directories[run] = RunDirectory(self.root / run)
        return self._directories[run]

    def _new_name(self, method: str, task: str) -> str:
        name = f"{datetime.now():%Y-%m-%d-%H%M%S}-{method}-{card(task).name}"
        taken = sum(1 for run in self.runs() if run == name or run.startswith(f"{name}-"))
        return f"{name}-{taken + 1}" if taken else name

    def _record_end(self, run: str, cause: Message) -> None:
        directory = self._directory(run)
        kept = directory.model_path.is_dir()
        model = "Its last saved model is kept" if kept else "It has no model"
        line = f"{cause.text.rstrip('.')}. {model}; start it again to have it whole."
        failure = directory.fail(Message("cut_off", {"cause": in_event(cause), "kept": kept}, line))
        try:
            directory.append(failure)
        except OSError:
            self._unwritten[run] = failure
        finally:
            directory.close()


def no_run(name: str) -> Message:
    """A line for a ConfigError: no run is called so."""
    return Message("no_run", {"name": name}, f"{name!r} is no run here")


def _alike(one: RunConfig, other: RunConfig) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in _PACE)


class _Process(child_process.Child):
    """The process of a live run, with our end of the pipe to it."""

    def __init__(self, run: str, path: Path, training: str, config: RunConfig) -> None:
        self.run = run
        self.settings = revise(config).model_dump()  # as they were last told
        named = tuple(introduced())
        super().__init__("align_core.training.worker", str(path), training, named)

    def send(self, command: dict[str, Any]) -> bool:
        try:
            self.connection.send(command)
        except OSError:
            return False
        return True
