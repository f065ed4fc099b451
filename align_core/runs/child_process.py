"""Child processes: starting and ending them, and the reasons why they ended.

A `Child` is forked from a server that has already imported the heavy libraries. It is ready in
milliseconds, and the page's own process never loads those libraries. Each child imports the main
script again, so that script must import little. Where there is no forkserver (Windows), children
are spawned. A `ProcessGroup` is a Python process and all processes that it starts.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from align_core.config.messages import Message, from_event
from align_core.runs import forkserver
from align_core.runs.python_path import python_path

_lifeline: Connection | None = None  # in a child: its end of a pipe that closes with the child

MAX_UNSENT = 1000  # messages that wait while a child does not read
_UNKNOWN_CODE = 255  # the exit code in multiprocessing after the forkserver was killed
EXIT_CODE_TIMEOUT = 5.0  # seconds for the forkserver to report the exit code of an ended child


class Child:
    """A process that runs `main(connection, *arguments)` of `module`; the attribute `connection` is
    the other end of its connection.

    Starting it and sending to it do not block, even while the forkserver imports or the process
    hangs. `main` must return when the connection closes, so that the child ends with this process.
    `on_end` is called in a thread when the child has ended. Thread-safe.
    """

    def __init__(
        self, module: str, *arguments: Any, on_end: Callable[[], Any] = lambda: None
    ) -> None:
        self._on_end = on_end
        self.connection, child_end = forkserver.CONTEXT.Pipe()
        # Only the child has the other end, so this pipe closes when the child ends. A sentinel of
        # multiprocessing closes too early if the forkserver is killed.
        self._lifeline, child_lifeline = forkserver.CONTEXT.Pipe(duplex=False)
        # A daemon: when this process exits, multiprocessing sends it SIGTERM.
        self._process = forkserver.Process(
            target=_enter, args=(module, child_end, child_lifeline, *arguments)
        )
        self._process.daemon = True
        self._unsent: queue.Queue[Any] = queue.Queue(MAX_UNSENT)
        self._lock = threading.Lock()  # guards the attributes below
        self._started, self._ended = threading.Event(), threading.Event()
        self.cancelled = False  # ended by `cancel`
        self.killed_for: Message | None = None  # why `kill` was called
        self._not_started: Message | None = None
        self._exit_code: int | None = None
        threading.Thread(target=self._live, args=(child_end, child_lifeline), daemon=True).start()

    @property
    def pid(self) -> int | None:
        """The process id; None until it has started."""
        return self._process.pid if self._started.is_set() else None

    @property
    def exit_code(self) -> int | None:
        """The exit code, or minus the signal number if a signal ended it; None while it runs,
        and also if the forkserver was killed, because only the forkserver knows the code."""
        return self._exit_code

    def alive(self) -> bool:
        """Whether it has not ended."""
        return not self._ended.is_set()

    def wait_for_start(self, timeout: float) -> bool:
        """Wait until it has started or ended; False if neither happened in `timeout` seconds."""
        return self._started.wait(timeout)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the process has ended."""
        self._ended.wait(timeout)

    def send(self, message: Any) -> bool:
        """Queue a message for the process; False if it has ended, or if MAX_UNSENT messages wait
        already."""
        try:
            self._unsent.put_nowait(message)
        except queue.Full:
            return False
        return self.alive()

    def kill(self, why: Message | None = None) -> None:
        """Kill the process; `why` becomes its exit reason. No effect after it has ended."""
        if self.cancel():
            return
        with self._lock:
            if not self._ended.is_set():
                self.killed_for = why
                forkserver.kill(self._process)

    def cancel(self) -> bool:
        """Cancel a process that has not started: it is killed as soon as it starts. False if it has
        started already."""
        with self._lock:
            if self._started.is_set():
                return False
            self.cancelled = True
            self._end()
            return True

    def end(self) -> int | None:
        """Kill the process and wait for it; returns its exit code."""
        self.kill()
        self.wait()
        return self.exit_code

    def exit_reason(self) -> Message:
        """Why it ended: the failure event that `main` sent, else `kill`'s reason, else its code."""
        failure = None
        with contextlib.suppress(EOFError, OSError):
            if self.connection.poll():
                failure = from_event(self.connection.recv())
        return failure or self.killed_for or self._not_started or _exit_message(self.exit_code)

    def _live(self, child_end: Connection, child_lifeline: Connection) -> None:
        try:
            self._start_and_wait(child_end, child_lifeline)
        except Exception as error:  # of any type: otherwise `wait` would never return
            self._not_started = start_message(error)
            if self._process.pid is not None:
                forkserver.kill(self._process)
        with self._lock:
            self._end()
        self._on_end()

    def _start_and_wait(self, child_end: Connection, child_lifeline: Connection) -> None:
        """Start the process, send to it, and wait for its end."""
        try:
            forkserver.start(self._process)
        finally:
            child_end.close()
            child_lifeline.close()
        with self._lock:
            self._started.set()
            if self.cancelled:
                forkserver.kill(self._process)
        threading.Thread(target=self._send, daemon=True).start()
        wait([self._lifeline])
        if wait([self._process.sentinel], EXIT_CODE_TIMEOUT):
            code = self._process.exitcode
            self._exit_code = None if code == _UNKNOWN_CODE else code

    def _end(self) -> None:
        self._ended.set()
        self._started.set()
        with contextlib.suppress(queue.Full):  # if full, the closed pipe wakes `_send`
            self._unsent.put_nowait(None)

    def _send(self) -> None:
        with contextlib.suppress(OSError):
            while self.alive():
                message = self._unsent.get()
                if message is not None:
                    self.connection.send(message)


class ProcessGroup:
    """`python -m module *arguments` and the processes that it starts, in a separate session.

    `module` must end all of them when its standard input closes, so that they end with this
    process. It prints JSON lines: a failure as in `messages.to_event`, or its progress.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self.progress: dict[str, Any] = {}  # the newest progress line
        self.killed_for: Message | None = None
        self._failure: Message | None = None
        # Its standard input closes when this process ends, in any way.
        self._process = _started(module, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def kill(self, why: Message) -> None:
        """Kill all of its processes, for this reason. No effect after it has ended."""
        if self._process.returncode is None:
            self.killed_for = why
            kill_group(self._process)

    def wait(self) -> int:
        """Wait for its first process and kill the others; returns the exit code of the first."""
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
    process = _started(module, *arguments, stdin=subprocess.DEVNULL, stdout=stdout)
    try:
        yield process
    finally:
        kill_group(process)


def _started(module: str, *arguments: str, stdin: int, stdout: int) -> subprocess.Popen[bytes]:
    """`python -m module *arguments`, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        env=forkserver.environment() | {"PYTHONPATH": python_path()},
        start_new_session=True,
    )


def kill_group(process: subprocess.Popen) -> None:
    """Kill all processes of the session that `process` leads, even if `process` has ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def start_message(error: Exception) -> Message:
    """Why a process could not be started."""
    if isinstance(error, EOFError | ConnectionError):
        return _exit_message(None)
    line = f"The process of this run could not be started: {error}"
    return Message("not_started", {"error": str(error)}, line)


def _exit_message(code: int | None) -> Message:
    """The message about a process that gave no reason for its end; `code` is None if not known."""
    if code is None:
        line = "The process of this run ended, and so did the one that starts all runs"
        return Message("ended_both", {}, line)
    if code == -9:
        line = (
            "The process of this run was killed from outside (signal 9), by a person, or by "
            "the machine because its memory ran out"
        )
        return Message("killed", {}, line)
    if code < 0:
        line = f"The process of this run crashed (signal {-code})"
        return Message("crashed", {"signal": -code}, line)
    line = f"The process of this run ended unexpectedly (exit code {code})"
    return Message("ended", {"code": code}, line)


def _enter(module: str, connection: Connection, lifeline: Connection, *arguments: Any) -> None:
    """The entry point of a child, which imports `module`; the page's process does not."""
    global _lifeline
    _lifeline = lifeline  # open until the process ends
    try:
        importlib.import_module(module).main(connection, *arguments)
    except BrokenPipeError:  # the page's process has ended, and nobody waits for an answer
        raise SystemExit(1) from None
