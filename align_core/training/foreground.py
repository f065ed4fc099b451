"""A run in the process of the person who waits for it, on the command line or in a script."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from align_core.config.errors import Collected, ConfigError, complaint, raise_collected
from align_core.config.messages import Message, plain
from align_core.config.run_config import resolve
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory
from align_core.training import worker


class Show(Protocol):
    """What shows a run while it goes on."""

    def event(self, event: dict[str, Any]) -> None:
        """Show an event of the run."""

    def stopping(self) -> None:
        """Say that the run stops; what it is at, it finishes first."""

    def close(self) -> None:
        """Leave what is shown as it stands."""


def new_run(
    options: dict[str, Any], run_dir: str | Path | None, lines: list[Message]
) -> RunDirectory:
    """The directory of a run with these options of `resolve`, nothing else in it yet.

    Raises:
        ConfigError: `lines`, and one line for each further error. Nothing is written then.
    """
    with Collected(lines):
        config = resolve(**{"method": None, "task": None, **options})
    if options.get("preferences") and Path(options["preferences"]).is_file():
        from align_core.data.preference_files import read_preferences

        with Collected(lines):
            read_preferences(options["preferences"])
    if run_dir is None:
        lines.append(complaint("--run-dir", None, "a new or empty folder that can be written"))
    else:
        lines += RunDirectory.errors(run_dir)
    raise_collected(lines)
    return RunDirectory.create(run_dir, config)


def execute(
    directory: RunDirectory, showing: Callable[[int], Show], resume: bool = False
) -> dict[str, Any] | None:
    """Execute a run and show its events; Ctrl-C stops it, and a second one leaves at once.

    `showing` takes the number of steps. A new run that never began leaves nothing behind.

    Returns and raises what `worker.execute` does.
    """
    bad_input = False
    try:
        return _watched(directory, showing(directory.config.steps), resume)
    except ConfigError:
        bad_input = True
        raise
    finally:
        directory.close()
        if not resume and (bad_input or not _begun(directory)):
            shutil.rmtree(directory.path)


def _watched(directory: RunDirectory, show: Show, resume: bool) -> dict[str, Any] | None:
    control = Control()

    def stop(signum: int, frame: Any) -> None:
        control.put({"command": "stop", "reason": plain(signal.Signals(signum).name)})
        show.stopping()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C means it

    # Python hears signals in its main thread alone.
    here = threading.current_thread() is threading.main_thread()
    heard = (signal.SIGINT, signal.SIGTERM) if here else ()
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        return worker.execute(directory, control, resume=resume, on_event=show.event)
    finally:
        show.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def _begun(directory: RunDirectory) -> bool:
    """Whether the run came to its first event; that it failed is none."""
    return any(event.get("status") != "failed" for event in directory.events()[0])
