"""The reference, reward model and coverage of a model, as recorded in the directory of its run."""

from __future__ import annotations

from align_core.config.methods import methods, sought_optimum
from align_core.config.model_index import is_reward_model, locate, run_of
from align_core.config.run_config import RunConfig
from align_core.config.task_card import card, known_card
from align_core.runs.directory import RunDirectory
from align_core.runs.events import settings_at


def coverage(config: RunConfig) -> str:
    """The coverage of the preferences that a run, or its reward model, was trained on."""
    if config.reward_model is not None:
        config = config_of(config.reward_model) or config
    return config.coverage or "all"


def coverage_of(model: str) -> str:
    """`coverage` of the run that a model comes from; "all" for a model without a run."""
    config = config_of(model)
    return coverage(config) if config else "all"


def reward_model_of(model: str, task: str) -> str | None:
    """`model` itself if it is a reward model; otherwise the reward model of its run, or None.

    A misspecified reward of the run's task counts only if `task` is this task.
    """
    if is_reward_model(locate(model)):
        return model
    config = config_of(model)
    if config is None:
        return None
    trained_on = card(config.task)
    is_proxy = trained_on is not None and config.reward_model in trained_on.proxies
    return None if is_proxy and config.task != task else config.reward_model


def beta_of(model: str) -> float | None:
    """The last β of a model's run, if its method maximises reward − β·KL; otherwise None."""
    if (run := run_of(model)) is None:
        return None
    directory = RunDirectory.open(run)
    settings = directory.config.model_dump()
    if sought_optimum(settings) != "kl":
        return None
    return settings_at(settings, directory.events()[0])["beta"] or None


def reference_of(model: str, task: str) -> str | None:
    """The reference of a model: the model that its run started from, else the task's reference.

    For a reward model the task's reference comes first. None if there is neither.
    """
    config, task_reference = config_of(model), known_card(task).reference
    if config and (task_reference is None or methods()[config.method].makes == "policy"):
        return config.model
    return task_reference


def config_of(model: str) -> RunConfig | None:
    """The configuration of the run of `model`; None if it does not come from a run."""
    run = run_of(model)
    return None if run is None else RunDirectory.open(run).config
