"""Experiments of the lab at their quick size, each tried in processes of its own. Needs no torch.

A trial has a folder of its experiment's name. trial.json in it says whose it is and how it ended;
result.json is what came out. The next trial of the experiment takes its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from align_core.config.messages import Message, from_event, in_event, plain
from align_core.runs import child_process
from align_core.runs.files import write_whole

_FILE, _RESULT = "trial.json", "result.json"

State = dict[str, Any]


class Trials:
    """The newest trial of each experiment, under `root`. Threads may share them.

    `module` is what the processes execute: `align_core.experiments.quick_process`, or a stand-in.
    """

    def __init__(self, root: Path, module: str = "align_core.experiments.quick_process") -> None:
        self._root = root
        self._module = module
        self._lock = threading.RLock()
        self._processes: dict[str, _Process] = {}  # of the live ones, oldest first

    def start(self, name: str, owner: str | None = None, time_limit: float | None = None) -> None:
        """Try an experiment, unless it is being tried. `time_limit` in seconds.

        Raises OSError where that cannot be: no memory for a process, a disk that is full.
        """
        with self._lock:
            if name in self._processes:
                return
            folder = self._root / name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            state = {"status": "running", "owner": owner, "began": time.time(), "message": ""}
            self._write(name, state)
            process = self._processes[name] = _Process(self._module, name, folder)
        threading.Thread(target=self._follow, args=(name, process), daemon=True).start()
        if time_limit is not None:
            reached = Message("time_limit", {}, "The time limit was reached.")
            timer = threading.Timer(time_limit, process.stop, [reached])
            timer.daemon = True
            timer.start()

    def stop(self, name: str) -> None:
        """End a live trial at once."""
        with self._lock:
            if process := self._processes.get(name):
                process.stop(plain(""))

    def live(self) -> list[str]:
        """The names of those that go on, oldest first."""
        with self._lock:
            return list(self._processes)

    def state(self, name: str) -> State | None:
        """How the newest trial stands; None where there was none.

        `status` is running, finished, stopped or failed, with a `message` and `cause` as
        `messages.in_event` has them; `owner`; `began`, and `ended`, seconds since 1970; of a live
        one, how many parts are `done`, of how many (`count`, 0 before that is known).
        """
        with self._lock:
            state = self._read(name)
            process = self._processes.get(name)
            if state is None or state["status"] != "running":
                return state
            if process is None:  # its page went, and with it the trial
                line = "This run's process ended before the run did"
                return {**state, "status": "failed", **in_event(Message("abandoned", {}, line))}
            return {**state, "done": process.done, "count": process.count}

    def result(self, name: str) -> dict[str, Any]:
        """What a finished trial found. Raises OSError where there is none."""
        return json.loads((self._root / name / _RESULT).read_text(encoding="utf-8"))

    def _follow(self, name: str, process: _Process) -> None:
        status, message = process.end()
        if status == "finished" and not (self._root / name / _RESULT).is_file():
            status, message = "failed", child_process.last_words(0)
        with self._lock:
            ended = {"status": status, "ended": time.time(), **in_event(message)}
            with contextlib.suppress(OSError, TypeError):  # a full disk, a folder that was deleted
                self._write(name, self._read(name) | ended)
            del self._processes[name]

    def _read(self, name: str) -> State | None:
        try:
            return json.loads((self._root / name / _FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _write(self, name: str, state: State) -> None:
        write_whole(self._root / name / _FILE, json.dumps(state))


class _Process:
    """The processes of a trial, a session of their own, which ends when this process does."""

    def __init__(self, module: str, name: str, folder: Path) -> None:
        self.done, self.count = 0, 0
        self._stopped: Message | None = None
        self._failure: Message | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, name, str(folder)],
            stdin=subprocess.PIPE,  # closes when this process goes, however that is
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": child_process.path()},
            start_new_session=True,
            text=True,
        )
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def stop(self, why: Message) -> None:
        if self._process.returncode is None:
            self._stopped = why
            self._kill()

    def end(self) -> tuple[str, Message]:
        """Wait for the end of the first process; end what it left behind. Its status, and why."""
        code = self._process.wait()
        self._kill()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()
        if self._stopped is not None:
            return "stopped", self._stopped
        if code == 0:
            return "finished", plain("")
        return "failed", self._failure or child_process.last_words(code)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _listen(self) -> None:
        for line in self._process.stdout:
            with contextlib.suppress(ValueError, LookupError, TypeError):
                told = json.loads(line)
                if "message" in told:
                    self._failure = from_event(told)
                else:
                    self.done, self.count = told["done"], told["count"]
