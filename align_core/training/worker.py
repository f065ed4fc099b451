"""The process of a run, which receives commands through a pipe."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from align_core.config.environment import RUN_NICE, THREADS, set_library_environment
from align_core.config.errors import CODE_ERRORS, ConfigError, describe_error
from align_core.config.messages import Message, plain
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory
from align_core.tasks.loader import load_allowed


def main(connection: Connection, path: str, training: str, allowed: tuple[str, ...]) -> None:
    """Execute the run at `path` in this process, with commands from `connection`.

    If the other end closes (the page died), the run stops and saves its model. A failure is also
    sent back, in case the log cannot be written. `allowed` are the full names of the tasks of code
    that a user named when the page was started; only these are loaded.
    """
    set_library_environment()
    control = Control()
    # Ctrl-C in a terminal reaches the page's whole process group; the page decides what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: control.put({"command": "stop"}))
    if hasattr(os, "nice"):
        os.nice(RUN_NICE)
    threading.Thread(target=_listen, args=(connection, control), daemon=True).start()
    directory = RunDirectory(path)
    try:
        limit_threads()
        load_allowed(directory.config.task, allowed)
        failure = execute(directory, control, training=training)
    except ConfigError as error:
        failure = _record_failure(directory, error)
    if failure is not None:
        with contextlib.suppress(OSError):
            connection.send(failure)


def _listen(connection: Connection, control: Control) -> None:
    try:
        while True:
            control.put(connection.recv())
    except (EOFError, OSError):
        reason = Message("page_gone", {}, "the page that started this run has gone")
        control.put({"command": "stop", "reason": reason})


def execute(
    directory: RunDirectory,
    control: Control,
    resume: bool = False,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    training: str = "align_core.training.run",
) -> dict[str, Any] | None:
    """Execute the run in `directory`.

    Returns:
        None, or the "failed" status event of a failed run. The event is also in the log, if that
        can be written; error.log beside it has the traceback of an unexpected error.

    Raises:
        ConfigError: invalid input that was not noticed before, such as a model that cannot be
            loaded. After the first metrics it is a failure of the run instead.
    """
    size = directory.size()
    try:
        limit_threads()
        run = importlib.import_module(training).run
        status = run(directory.config, directory, control, resume=resume, on_event=on_event)
    except CODE_ERRORS as error:
        began = any(event["kind"] == "metrics" for event in directory.events(size)[0])
        if isinstance(error, ConfigError) and not began:
            raise
        failure = _record_failure(directory, error)
        if on_event is not None:
            on_event(failure)
        return failure
    return directory.status() if status == "failed" else None


def _record_failure(directory: RunDirectory, error: BaseException) -> dict[str, Any]:
    """Write the failure of a run to its log; returns its "failed" status event."""
    message = describe_error(error, directory.path)
    if not message.code:  # an unexpected error
        message = plain(f"{message}; the traceback is in error.log in the run's folder")
    failure = directory.end("failed", message)
    with contextlib.suppress(OSError):
        directory.append(failure)
    if not isinstance(error, ConfigError):
        with contextlib.suppress(OSError):
            (directory.path / "error.log").write_text(traceback.format_exc(), encoding="utf-8")
    return failure


def limit_threads() -> None:
    """Let PyTorch use OMP_NUM_THREADS threads, by default THREADS."""
    os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
