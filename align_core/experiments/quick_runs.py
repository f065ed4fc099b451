"""Quick runs of the lab's experiments, each in separate processes. Imports no torch.

A quick run has a folder named after its experiment, with its owner and status in state.json and its
result in result.json. The next quick run of the experiment replaces it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from align_core.config.messages import Message, plain, to_event
from align_core.config.safe_files import read_object
from align_core.runs.child_process import ProcessGroup
from align_core.runs.files import write_atomically

_LOG = logging.getLogger(__name__)
_FILE, _RESULT = "state.json", "result.json"

State = dict[str, Any]


def folder_in(runs: Path) -> Path:
    """The folder of the quick runs in a folder of `runs`.

    Version 0.1 called it `trials` and the state of a quick run trial.json; these are renamed.
    """
    folder, earlier = runs / "quick_runs", runs / "trials"
    if earlier.is_dir() and not folder.exists():
        with contextlib.suppress(OSError):  # a folder that cannot be written
            earlier.rename(folder)
            for file in folder.glob("*/trial.json"):
                file.rename(file.with_name(_FILE))
    return folder


class QuickRuns:
    """The newest quick run of each experiment, in `root`. Threads may share it.

    `module` is what the processes execute; tests replace it by a fake.
    """

    def __init__(self, root: Path, module: str = "align_core.experiments.quick_process") -> None:
        self._root = root
        self._module = module
        self._lock = threading.RLock()
        self._processes: dict[str, ProcessGroup] = {}  # live processes by name, oldest first

    def start(
        self,
        name: str,
        owner: str | None = None,
        time_limit: float | None = None,
        command: Sequence[str] = (),
    ) -> None:
        """Start a quick run of an experiment unless one is live; `time_limit` in seconds.

        `command` is a module with arguments that is executed in place of the experiment; it gets
        the folder as its last argument.

        Raises:
            OSError: there is no memory for a process, or the disk is full.
        """
        with self._lock:
            if name in self._processes:
                return
            folder = self._root / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            state = {"status": "running", "owner": owner, "began": time.time(), "message": ""}
            self._write(name, state)
            process = self._processes[name] = ProcessGroup(
                *(command or (self._module, name)), str(folder)
            )
        _LOG.info("start", extra={"fields": {"experiment": _public(name)}})
        threading.Thread(target=self._follow, args=(name, process), daemon=True).start()
        if time_limit is not None:
            reason = Message("time_limit", {}, "The time limit was reached.")
            timer = threading.Timer(time_limit, process.kill, [reason])
            timer.daemon = True
            timer.start()

    def stop(self, name: str) -> None:
        """Kill a live quick run."""
        with self._lock:
            if process := self._processes.get(name):
                process.kill(plain(""))

    def prune(self, prefix: str, max_count: int) -> None:
        """Delete the oldest ended runs with this `prefix` until at most `max_count` of them are
        left."""
        with self._lock:
            ended = [path for path in self._root.glob(f"{prefix}*") if path.name not in self.live()]
            oldest_first = sorted(ended, key=lambda path: path.stat().st_mtime)
            for folder in oldest_first[: max(0, len(ended) - max_count)]:
                shutil.rmtree(folder, ignore_errors=True)

    def live(self) -> list[str]:
        """The names of the live runs, oldest first."""
        with self._lock:
            return list(self._processes)

    def state(self, name: str) -> State | None:
        """The state of the newest quick run; None if there is none.

        `status` is running, finished, stopped or failed, with the `message` and `cause` of
        `messages.to_event`; `owner`; `began` and `ended` in seconds since 1970; for a live one,
        the numbers of parts that are `done` and of all parts, `count`, 0 if not yet known.
        """
        with self._lock:
            state = self._read(name)
            process = self._processes.get(name)
            if state is None or state["status"] != "running":
                return state
            if process is None:  # the page that started it has ended
                line = "This run's process ended before the run did"
                return {**state, "status": "failed", **to_event(Message("abandoned", {}, line))}
            progress = {name: process.progress.get(name, 0) for name in ("done", "count")}
            return state | progress

    def result(self, name: str) -> dict[str, Any]:
        """The result of a finished quick run. Raises OSError if there is none."""
        return json.loads((self._root / name / _RESULT).read_text(encoding="utf-8"))

    def _follow(self, name: str, process: ProcessGroup) -> None:
        code = process.wait()
        if process.killed_for is not None:
            status, message = "stopped", process.killed_for
        elif code == 0 and (self._root / name / _RESULT).is_file():
            status, message = "finished", plain("")
        else:
            status, message = "failed", process.exit_reason()
        _LOG.info("end", extra={"fields": {"experiment": _public(name), "status": status}})
        with self._lock:
            del self._processes[name]  # first, so that its slot is free whatever the disk says
            ended = {"status": status, "ended": time.time(), **to_event(message)}
            state = self._read(name)  # None if its folder was deleted
            with contextlib.suppress(OSError):  # a full disk
                if state is not None:
                    self._write(name, state | ended)

    def _read(self, name: str) -> State | None:
        try:
            return read_object(self._root / name / _FILE)
        except (OSError, ValueError):
            return None

    def _write(self, name: str, state: State) -> None:
        write_atomically(self._root / name / _FILE, json.dumps(state))


def _public(name: str) -> str:
    """The name of a quick run without the part that identifies its visitor."""
    return name.partition("-")[0]
