"""What a model comes from, as its run's directory has it."""

from __future__ import annotations

from pathlib import Path

from align_core.config.model_index import is_run
from align_core.config.run_config import RunConfig
from align_core.runs.directory import RunDirectory


def coverage(config: RunConfig) -> str:
    """The coverage of the preferences behind a run, or behind its reward model."""
    if config.reward_model is not None and is_run(Path(config.reward_model)):
        return coverage(RunDirectory.open(config.reward_model).config)
    return config.coverage or "all"
