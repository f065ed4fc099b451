"""The checkpoints of a run: where a run that was cut off goes on."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from transformers.trainer import OPTIMIZER_NAME, TRAINER_STATE_NAME

from align_core.config.errors import ConfigError, complaint
from align_core.models import distributed
from align_core.runs.directory import RunDirectory


def folder(directory: RunDirectory) -> Path:
    """Where the Trainer of a run keeps its checkpoints."""
    return directory.path / "checkpoints"


def last(directory: RunDirectory) -> Path | None:
    """The newest checkpoint that is whole: its state is what Trainer writes last.

    Raises ConfigError where FSDP, DeepSpeed or neither wrote it and this launch is another: a file
    that is read by the first process alone would be missing, and the others wait.
    """
    ended = []
    for checkpoint in folder(directory).glob("checkpoint-*"):
        with contextlib.suppress(OSError, ValueError):
            json.loads((checkpoint / TRAINER_STATE_NAME).read_text())
            ended.append(checkpoint)
    newest = max(ended, key=update_of, default=None)
    if newest and _sharded_by(newest) != distributed.SHARDED_BY:
        launched = "with models whole"
        if distributed.SHARDED_BY:
            launched = f"with {distributed.SHARDED_BY}"
        takes = f"a run that was launched as this is, {launched}"
        raise ConfigError(complaint("--resume", str(directory.path), takes))
    return newest


def update_of(checkpoint: Path | None) -> int:
    """The optimiser update after which a checkpoint was written; 0 where there is none."""
    return int(checkpoint.name.split("-")[1]) if checkpoint else 0


def _sharded_by(checkpoint: Path) -> str | None:
    if (checkpoint / OPTIMIZER_NAME).is_file():
        return None
    return "DeepSpeed" if any(checkpoint.glob("global_step*")) else "FSDP"
