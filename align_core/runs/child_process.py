"""Child processes: how they are started and ended, and the reason why one ended.

A `Child` is forked from a server that has already imported the heavy libraries. It is ready in
milliseconds, and the page's own process never loads those libraries. Each child imports the main
script again, so that script must import little. Without a forkserver (Windows) children are
spawned. A `ProcessGroup` is a Python process that may start processes of its own.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from align_core.config.messages import Message, from_event

_PRELOADED = "align_core.preload"
_HAS_FORKSERVER = "forkserver" in multiprocessing.get_all_start_methods()
_CONTEXT: Any = multiprocessing.get_context("forkserver" if _HAS_FORKSERVER else "spawn")


def preload(*modules: str) -> None:
    """Start the forkserver, which imports the heavy libraries and `modules`. Returns at once.

    Only the first call has an effect, and only before the first child.
    """
    if not _HAS_FORKSERVER:
        return
    from multiprocessing import forkserver

    _CONTEXT.set_forkserver_preload([_PRELOADED, *modules])
    with _environment():
        forkserver.ensure_running()


class Child:
    """A process that runs `main(connection, *arguments)` of `module`; `connection` is our end.

    `main` must return when the connection closes, so that the child ends with this process.
    """

    def __init__(self, module: str, *arguments: Any) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        # A daemon: when this process exits, multiprocessing sends it SIGTERM.
        self._process = _CONTEXT.Process(target=_enter, args=(module, theirs, *arguments))
        self._process.daemon = True
        self._killed_for: Message | None = None
        with _environment():
            self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, minus the signal number if a signal ended it; None while it runs."""
        return self._process.exitcode

    def alive(self) -> bool:
        return self._process.is_alive()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the process has ended. Only `alive` reaps it, under the caller's lock."""
        wait([self._process.sentinel], timeout)

    def kill(self, why: Message | None = None) -> None:
        """Kill the process; `why` becomes its exit reason. No effect after it has ended."""
        self._killed_for = why
        self._process.kill()

    def end(self) -> int | None:
        """Kill the process and wait for it; returns its exit code, None if it did not die."""
        self.kill()
        self.wait()
        self.alive()
        return self.exit_code

    def exit_reason(self) -> Message:
        """Why it ended: the failure event that `main` sent, else `kill`'s reason, else its code."""
        failure = None
        with contextlib.suppress(EOFError, OSError):
            if self.connection.poll():
                failure = from_event(self.connection.recv())
        return failure or self._killed_for or _exit_message(self.exit_code)


class ProcessGroup:
    """`python -m module *arguments` and the processes that it starts, in a session of their own.

    `module` must end all of them when its standard input closes, so that they end with this
    process. It prints JSON lines: a failure as in `messages.to_event`, any other is its progress.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self.progress: dict[str, Any] = {}  # the newest progress line
        self.killed_for: Message | None = None
        self._failure: Message | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,  # closes when this process ends, in any way
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": python_path()},
            start_new_session=True,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def kill(self, why: Message) -> None:
        """Kill all of its processes, for this reason. No effect after it has ended."""
        if self._process.returncode is None:
            self.killed_for = why
            kill_group(self._process)

    def wait(self) -> int:
        """Wait for its first process and kill those that it left; returns the exit code."""
        code = self._process.wait()
        kill_group(self._process)
        self._reader.join()
        for pipe in filter(None, (self._process.stdin, self._process.stdout)):
            pipe.close()
        return code

    def exit_reason(self) -> Message:
        """Why it ended: the failure that it printed, else `kill`'s reason, else its exit code."""
        return self._failure or self.killed_for or _exit_message(self._process.returncode)

    def _read(self) -> None:
        for line in self._process.stdout or ():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and "message" in event:
                    self._failure = from_event(event)
                elif isinstance(event, dict):
                    self.progress = event


@contextlib.contextmanager
def module_process(
    module: str, *arguments: str, stdout: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen]:
    """A process `python -m module *arguments`, killed at the end with all that it started."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env=os.environ | {"PYTHONPATH": python_path()},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill_group(process)


def kill_group(process: subprocess.Popen) -> None:
    """Kill a process that leads a session, and all that it started there, ended or not."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _exit_message(code: int | None) -> Message:
    """The message for a process that ended without one; `code` is None if it did not die."""
    if code == -9:
        line = (
            "The process of this run was killed from outside (signal 9), by a person, or by "
            "the machine because its memory ran out"
        )
        return Message("killed", {}, line)
    if code is not None and code < 0:
        line = f"The process of this run crashed (signal {-code})"
        return Message("crashed", {"signal": -code}, line)
    line = f"The process of this run ended unexpectedly (exit code {code})"
    return Message("ended", {"code": code}, line)


def python_path() -> str:
    """A PYTHONPATH with which a process imports the same align_core as this one."""
    root = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))


def _enter(module: str, connection: Connection, *arguments: Any) -> None:
    """The entry point of a child: `module` is imported there, not in the page's process."""
    importlib.import_module(module).main(connection, *arguments)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Set the environment variables with which the forkserver has to start, and restore them.

    It imports the libraries before it receives this process's sys.path, hence PYTHONPATH. They must
    not start threads there, which do not survive a fork; numpy's BLAS and Arrow's memory pool do.
    """
    variables = {
        "PYTHONPATH": python_path(),
        "OPENBLAS_NUM_THREADS": "1",
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
