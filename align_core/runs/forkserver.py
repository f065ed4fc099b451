"""The forkserver: it has imported the heavy libraries, and forks child processes in milliseconds.

Systems without a forkserver (Windows) spawn processes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

from align_core.runs.python_path import python_path

HAS_FORKSERVER = "forkserver" in multiprocessing.get_all_start_methods()
CONTEXT: Any = multiprocessing.get_context("forkserver" if HAS_FORKSERVER else "spawn")
START_TIMEOUT = 300.0  # seconds after which a forkserver that starts no child is replaced
_PRELOADED = "align_core.preload"
_lock = threading.Lock()  # guards the forkserver and this process's environment variables


def preload(*modules: str) -> None:
    """Start the forkserver, which imports the heavy libraries and `modules`, without waiting for
    it. Does nothing while a forkserver runs."""
    if HAS_FORKSERVER:
        CONTEXT.set_forkserver_preload([_PRELOADED, *modules])
        _ensure()


Process: Any = CONTEXT.Process
if HAS_FORKSERVER:
    from multiprocessing import popen_forkserver

    class _Popen(popen_forkserver.Popen):
        """Polls under a lock. Each start of a process polls all others, and of several polls of an
        ended process only the first gets its exit code."""

        def __init__(self, process: Any) -> None:
            self._polling = threading.Lock()
            super().__init__(process)

        def poll(self, flag: int = os.WNOHANG) -> int | None:
            with self._polling:
                return super().poll(flag)

    class _Process(CONTEXT.Process):
        @staticmethod
        def _Popen(process: Any) -> _Popen:  # noqa: N802 - the name in multiprocessing
            return _Popen(process)

    Process = _Process


def environment() -> dict[str, str]:
    """This process's environment variables, without those that are set while the forkserver
    starts."""
    with _lock:
        return dict(os.environ)


def start(process: Any) -> None:
    """Start a process. This takes until the forkserver has imported everything.

    Raises:
        EOFError, OSError: the forkserver was killed meanwhile, or there is no memory.
    """
    if HAS_FORKSERVER:
        _ensure()
    timer = threading.Timer(START_TIMEOUT, _replace)
    timer.daemon = True
    timer.start()
    try:
        process.start()
    finally:
        timer.cancel()


def kill(process: Any) -> None:
    """Send SIGKILL to a started process, even if its forkserver has ended; multiprocessing does not
    kill a process whose exit code it cannot read."""
    if HAS_FORKSERVER:
        _send_kill(process.pid)
    else:
        process.kill()


def _ensure() -> None:
    from multiprocessing import forkserver

    with _lock, _environment():
        forkserver.ensure_running()


def _replace() -> None:
    """Kill a forkserver that hangs. Its children live on, and the next start creates a new one."""
    if HAS_FORKSERVER:
        from multiprocessing import forkserver

        _send_kill(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]  # private


def _send_kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """A context with the environment variables that the forkserver needs when it starts.

    It imports the libraries before it receives this process's sys.path, hence PYTHONPATH. It must
    not start threads, since threads do not survive a fork; by default numpy's BLAS and Arrow's
    memory pool start some.
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
