"""The runs in a folder: their size on disk, and the choice of runs to delete."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError
from align_core.runs.directory import RunDirectory
from align_core.runs.steady_clock import steady_time

DAY = 86_400  # seconds
_DELETED = ".deleted-"


@dataclass(frozen=True)
class StoredRun:
    """A run on the disk: its method, task and newest status; `step` and `ended` of its last event.

    `ended` is a time in seconds, as from `time.time`; `size` is in bytes; `live` is true while a
    process writes the run.
    """

    path: Path
    method: str
    task: str
    status: str | None
    step: int
    ended: float
    size: int
    live: bool

    def as_row(self) -> dict[str, Any]:
        """Its facts by name, with the name of its folder."""
        facts = {name: value for name, value in vars(self).items() if name != "path"}
        return {"run": self.path.name, **facts}


def stored_runs(root: Path) -> list[StoredRun]:
    """The runs in `root`, newest first. Folders that cannot be read as runs are left out."""
    runs = []
    for config in root.glob("*/config.json"):
        with contextlib.suppress(ConfigError, OSError):
            runs.append(_stored(RunDirectory.open(config.parent)))
    return sorted(runs, key=lambda run: run.ended, reverse=True)


def to_prune(
    runs: Sequence[StoredRun],
    days: float | None = None,
    max_bytes: float | None = None,
    now: float | None = None,
    kept: Collection[str] = (),
) -> list[StoredRun]:
    """The runs to delete, oldest first: those that ended over `days` ago, then the oldest ones.

    The latter are deleted only until the remaining runs take at most `max_bytes`. Live runs, runs
    whose name is in `kept`, and symlinks are never deleted.
    """
    now = steady_time() if now is None else now
    total = sum(run.size for run in runs)
    pruned = []
    for run in sorted(runs, key=lambda run: run.ended):
        too_old = days is not None and now - run.ended > days * DAY
        too_much = max_bytes is not None and total > max_bytes
        is_kept = run.live or run.path.name in kept or run.path.is_symlink()
        if (too_old or too_much) and not is_kept:
            pruned.append(run)
            total -= run.size
    return pruned


def delete(run: StoredRun) -> None:
    """Delete the run's folder. Raises OSError if that is impossible.

    The folder is renamed first, so that no list shows a half-deleted run.
    """
    hidden = run.path.with_name(f"{_DELETED}{run.path.name}")
    run.path.rename(hidden)
    shutil.rmtree(hidden)


def remove_remains(root: Path) -> None:
    """Delete the renamed folders in `root` that a killed process did not finish deleting."""
    for hidden in root.glob(f"{_DELETED}*"):
        shutil.rmtree(hidden, ignore_errors=True)


def _size(folder: Path) -> int:
    """Bytes of all files in the folder; symlinks are not followed."""
    return sum(
        os.lstat(os.path.join(parent, name)).st_size
        for parent, _, names in os.walk(folder)
        for name in names
    )


def _stored(run: RunDirectory) -> StoredRun:
    last = run.events_path if run.events_path.exists() else run.path / "config.json"
    status = run.status() or {"status": None, "step": 0}
    return StoredRun(
        run.path,
        run.config.method,
        run.config.task,
        status["status"],
        status["step"],
        last.stat().st_mtime,
        _size(run.path),
        run.is_being_written(),
    )
