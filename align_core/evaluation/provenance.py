"""What a model comes from, as its run's directory has it: MODEL as on the command line."""

from __future__ import annotations

from pathlib import Path

from align_core.config.methods import methods
from align_core.config.model_index import is_reward_model, is_run, locate
from align_core.config.run_config import RunConfig
from align_core.config.task_card import card
from align_core.runs.directory import RunDirectory


def coverage(config: RunConfig) -> str:
    """The coverage of the preferences behind a run, or behind its reward model."""
    if config.reward_model is not None and is_run(Path(config.reward_model)):
        return coverage(RunDirectory.open(config.reward_model).config)
    return config.coverage or "all"


def coverage_of(model: str) -> str:
    """The coverage of the preferences that a run's model was trained on; "all" for all others."""
    config = _config(model)
    return coverage(config) if config else "all"


def reward_model_of(model: str) -> str | None:
    """The model itself if it is one, else that of its run; None for all others."""
    if is_reward_model(locate(model)):
        return model
    config = _config(model)
    return config and config.reward_model


def reference_of(model: str, task: str) -> str | None:
    """What a model is held against: what its run started from, else the task's reference, if any.

    A reward model is held against nothing; it gets the latter first.
    """
    config, of_task = _config(model), card(task).reference
    if config and (of_task is None or methods()[config.method].makes == "policy"):
        return config.model
    return of_task


def _config(model: str) -> RunConfig | None:
    """That of the run whose directory this is; None for all other models."""
    path = Path(model)
    return RunDirectory.open(path).config if path.is_dir() and is_run(path) else None
