"""A run in this process, on the command line or in a script, with its progress displayed."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from align_core.config.errors import ConfigError, collect_errors, option_error
from align_core.config.messages import Message, plain
from align_core.config.methods import method_named
from align_core.config.run_config import resolve
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory
from align_core.tasks.loader import read_if_folder
from align_core.training import worker


class Display(Protocol):
    """Displays a run while it is executed."""

    def event(self, event: dict[str, Any]) -> None:
        """Display an event of the run."""

    def stopping(self) -> None:
        """Display that the run will stop, after its current step."""

    def close(self) -> None:
        """End the display, leaving its last state visible."""


def new_run(
    options: dict[str, Any], run_dir: str | Path | None, lines: list[Message]
) -> RunDirectory:
    """Create the directory of a run with these options of `resolve`.

    Raises:
        ConfigError: the errors in `lines` and one for each further error; nothing is written.
    """
    task = read_if_folder(options.get("task"), lines)
    with collect_errors(lines):
        config = resolve(**{"method": None, **options, "task": task})
    invalid = {line.values.get("option") for line in lines}
    if options.get("preferences") and "--preferences" not in invalid:
        from align_core.data.preference_files import READERS

        method = method_named(options.get("method"))
        if method is not None and method.learns_from in READERS:
            with collect_errors(lines):
                READERS[method.learns_from](options["preferences"])
    if run_dir is None:
        lines.append(option_error("--run-dir", None, "a new or empty folder that can be written"))
    else:
        lines += RunDirectory.errors(run_dir)
    if run_dir is None or lines:
        raise ConfigError(*lines)
    return RunDirectory.create(run_dir, config)


def execute(
    directory: RunDirectory, make_display: Callable[[int], Display], resume: bool = False
) -> dict[str, Any] | None:
    """Execute a run and display its events. Ctrl-C stops it; a second one aborts immediately.

    `make_display` gets the number of steps. Errors of a display whose pipe is closed, as with
    `| head`, are ignored. A new run that fails before its first event is deleted.

    Returns what `worker.execute` returns, and raises what it raises.
    """
    invalid = False
    try:
        return _execute(directory, make_display(directory.config.steps), resume)
    except ConfigError:
        invalid = True
        raise
    finally:
        directory.close()
        if not resume and (invalid or not _has_begun(directory)):
            directory.discard()


def _execute(directory: RunDirectory, display: Display, resume: bool) -> dict[str, Any] | None:
    control = Control()

    def stop(signum: int, frame: Any) -> None:
        control.put({"command": "stop", "reason": plain(signal.Signals(signum).name)})
        with contextlib.suppress(BrokenPipeError):
            display.stopping()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C aborts

    def display_event(event: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            display.event(event)

    # Python allows signal handlers in the main thread only.
    in_main_thread = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if in_main_thread else ()
    previous = {number: signal.signal(number, stop) for number in numbers}
    try:
        return worker.execute(directory, control, resume=resume, on_event=display_event)
    finally:
        with contextlib.suppress(BrokenPipeError):
            display.close()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _has_begun(directory: RunDirectory) -> bool:
    """Whether the run wrote any event other than its failure."""
    return any(event.get("status") != "failed" for event in directory.events()[0])
