"""A task whose reward is scaled to nats for a model."""

from __future__ import annotations

from functools import lru_cache

from align_core.config.model_index import run_of
from align_core.evaluation.prepared import stored_scale
from align_core.evaluation.provenance import reference_of
from align_core.models.checks import check_policy
from align_core.models.loading import load_policy, load_tokenizer
from align_core.models.prompts import check_prompts
from align_core.models.reward_scale import reward_scale
from align_core.runs.directory import RunDirectory
from align_core.tasks import Task, get_task


def task_in_nats(name: str, model: str, reference: str | None = None) -> tuple[Task, float | None]:
    """The task with its reward in nats, and the nats of one point of its original reward.

    The scale is None if the reward is in nats already. Otherwise it depends on the reference, by
    default that of `model`: it is stored in the run of `model`, or was prepared for the reference,
    or is measured now on samples of the reference.

    Raises:
        ConfigError: the reward does not vary, or a prompt is too long, so there is no scale.
    """
    task = get_task(name)
    if task.reward_std is None:
        return task, None
    reference = reference or reference_of(model, name) or model
    scale = (
        _scale_of_run(name, model)
        or stored_scale(name, reference)
        or _measured_scale(name, reference)
    )
    return task.scaled(scale), scale  # type: ignore[attr-defined]  # a task in a folder has it


def _scale_of_run(name: str, model: str) -> float | None:
    if (path := run_of(model)) is None:
        return None
    run = RunDirectory.open(path)
    return run.reward_scale if run.config.task == name else None


@lru_cache(maxsize=4)
def _measured_scale(name: str, reference: str) -> float:
    task, policy, tokenizer = get_task(name), load_policy(reference), load_tokenizer(reference)
    check_policy(policy, tokenizer)
    check_prompts(task, policy, tokenizer)
    return reward_scale(task, policy, tokenizer)
