"""The checkpoints of a run, from which an interrupted run is resumed."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

from transformers.trainer import OPTIMIZER_NAME, TRAINER_STATE_NAME

from align_core.config.errors import ConfigError, option_error
from align_core.models import distributed
from align_core.runs.directory import RunDirectory

MAX_KEPT = 2  # the newest; if a process is killed while it writes one, the other is complete


def folder(directory: RunDirectory) -> Path:
    """The folder in which the Trainer of a run keeps its checkpoints."""
    return directory.path / "checkpoints"


def last(directory: RunDirectory) -> Path | None:
    """The newest complete checkpoint: one with a readable trainer state, which is written last.

    Raises:
        ConfigError: the checkpoint was written with other sharding (FSDP, DeepSpeed or none) than
            this launch uses. Without this check, the first process would not find a file that only
            it reads, and the others would wait for it.
    """
    complete = []
    for checkpoint in folder(directory).glob("checkpoint-*"):
        with contextlib.suppress(OSError, ValueError):
            json.loads((checkpoint / TRAINER_STATE_NAME).read_text())
            complete.append(checkpoint)
    newest = max(complete, key=update_of, default=None)
    if newest and _sharded_by(newest) != distributed.SHARDED_BY:
        launched = f"with {distributed.SHARDED_BY}" if distributed.SHARDED_BY else "unsharded"
        expected = f"a run that was launched in the same way as this one, {launched}"
        raise ConfigError(option_error("--resume", str(directory.path), expected))
    return newest


def delete(directory: RunDirectory) -> None:
    """Delete all checkpoints, once the run has finished and cannot be resumed."""
    shutil.rmtree(folder(directory), ignore_errors=True)


def update_of(checkpoint: Path | None) -> int:
    """The optimiser update after which a checkpoint was written; 0 for None."""
    return int(checkpoint.name.split("-")[1]) if checkpoint else 0


def _sharded_by(checkpoint: Path) -> str | None:
    if (checkpoint / OPTIMIZER_NAME).is_file():
        return None
    return "DeepSpeed" if any(checkpoint.glob("global_step*")) else "FSDP"
