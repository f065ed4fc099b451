"""Child processes: started, ended, and asked why they ended.

A `Child` is forked from a server that has imported the heavy libraries ahead. It is ready in
milliseconds, and the page's own process never holds those libraries. Children import the main
script again: keep that lean. Where there is no forkserver (Windows), they are spawned. A `Group`
may start processes of its own.
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
_CONTEXT = multiprocessing.get_context("forkserver" if _HAS_FORKSERVER else "spawn")


def warm(*modules: str) -> None:
    """Let the forkserver import the heavy libraries and `modules` ahead. Returns at once.

    Only the first call counts, and the first child starts the server as it is.
    """
    if not _HAS_FORKSERVER:
        return
    from multiprocessing import forkserver

    _CONTEXT.set_forkserver_preload([_PRELOADED, *modules])
    with _environment():
        forkserver.ensure_running()


class Child:
    """A process that executes `main(connection, *arguments)` of `module`; we hold the other end.

    It ends with this process: `main` must leave when the connection closes.
    """

    def __init__(self, module: str, *arguments: Any) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        # Daemonic: when the page exits, it sends SIGTERM.
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
        """None while it lives; minus the signal that ended it."""
        return self._process.exitcode

    def alive(self) -> bool:
        return self._process.is_alive()

    def wait(self, timeout: float | None = None) -> None:
        """Until the process has ended. Leaves its exit code to `alive`, which a lock guards."""
        wait([self._process.sentinel], timeout)

    def kill(self, why: Message | None = None) -> None:
        """End it, for a reason. Of no effect on one that has ended."""
        self._killed_for = why
        self._process.kill()

    def end(self) -> int:
        """End it and wait for that; returns its exit code."""
        self.kill()
        self.wait()
        self.alive()
        return self.exit_code

    def why_ended(self) -> Message:
        """Why it ended. A `main` that fails has sent its message as an event."""
        said = None
        with contextlib.suppress(EOFError, OSError):
            if self.connection.poll():
                said = from_event(self.connection.recv())
        return said or self._killed_for or _why(self.exit_code)


class Group:
    """`python -m module *arguments` and the processes that it starts, in a session of their own.

    It ends with this process: `module` must leave, with all of them, when its standard input ends.
    It prints JSON lines: {"message", "cause"} where it fails, as `messages.in_event` has them;
    else how far it is.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self.progress: dict[str, Any] = {}  # the newest line on that
        self.killed_for: Message | None = None
        self._failure: Message | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,  # closes when this process goes, however that is
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path()},
            start_new_session=True,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def kill(self, why: Message) -> None:
        """End it, for a reason. Of no effect on one that has ended."""
        if self._process.returncode is None:
            self.killed_for = why
            self._kill()

    def wait(self) -> int:
        """Wait until its first process has ended, and end what that left behind; returns the exit
        code."""
        code = self._process.wait()
        self._kill()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()
        return code

    def why_ended(self) -> Message:
        """Why it ended, once it has."""
        return self._failure or self.killed_for or _why(self._process.returncode)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _read(self) -> None:
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                printed = json.loads(line)
                if isinstance(printed, dict) and "message" in printed:
                    self._failure = from_event(printed)
                elif isinstance(printed, dict):
                    self.progress = printed


def _why(code: int) -> Message:
    """Why a process ended that said nothing itself; `code` is its exit code."""
    if code == -9:
        line = (
            "The process of this run was killed from outside (signal 9), as a person does, or "
            "the machine when its memory runs out"
        )
        return Message("killed", {}, line)
    if code < 0:
        line = f"The process of this run crashed (signal {-code})"
        return Message("crashed", {"signal": -code}, line)
    line = f"The process of this run ended unexpectedly (exit code {code})"
    return Message("ended", {"code": code}, line)


def path() -> str:
    """PYTHONPATH for a process that imports align_core from where this one does."""
    home = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))


def _enter(module: str, connection: Connection, *arguments: Any) -> None:
    """Where a child starts; what is imported here stays out of the page's process."""
    importlib.import_module(module).main(connection, *arguments)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """The environment in which the forkserver has to start.

    It imports ahead before it learns this process's sys.path, so that PYTHONPATH must tell it; and
    the libraries must not start threads in it, which would not survive the fork (numpy's BLAS and
    the memory pool of Arrow do).
    """
    wanted = {
        "PYTHONPATH": path(),
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
