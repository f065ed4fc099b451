"""What a run needs before its first step: models, data by what its method learns from, rewards."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from align_core.config.errors import ConfigError, complaint
from align_core.config.messages import Message, in_event
from align_core.config.methods import Method, methods
from align_core.config.run_config import RunConfig
from align_core.config.task_card import BUILT_IN
from align_core.data.encoding import encode_demonstrations, encode_pairs
from align_core.data.preference_files import Covers, read_preferences, stored_pairs
from align_core.models import distributed
from align_core.models.loading import (
    load_policy,
    load_to_train,
    load_tokenizer,
    new_reward_model,
)
from align_core.models.rewards import proxy_reward
from align_core.models.sampled_pairs import sampled_pairs, with_label_noise
from align_core.runs.control import Control
from align_core.tasks import Task, task_named
from align_core.trainers.common import Setup
from align_core.training.callback import Write

DEMONSTRATIONS = 2048  # at most; a longer run sees them again


def prepare(config: RunConfig, output: Path, control: Control, write: Write) -> Setup:
    """Load the models of a run and encode its data; its checkpoints are to go to `output`.

    Sampling of pairs is shown in `write`'s events, and a stop ends it. Raises ConfigError for bad
    input that only a look inside a file could tell.
    """
    task, method = task_named(config.task), methods()[config.method]
    tokenizer = load_tokenizer(config.model)
    reference = proxy = None
    if method.makes == "reward model":
        model = new_reward_model(config.model, config.seed)
    else:
        model = load_to_train(config.model)
        # Under LoRA the reference is the policy with its adapter off: no second copy of weights.
        reference = None if config.lora_r else load_policy(config.model).requires_grad_(False)
        proxy = proxy_reward(config.reward_model, task.reward_model, tokenizer)
    return Setup(
        config=config,
        task=task,
        tokenizer=tokenizer,
        model=model,
        reference=reference,
        data=_data(method, config, task, tokenizer, control, write),
        gold=partial(task.reward, eos_token_id=tokenizer.eos_token_id),
        proxy=proxy,
        arguments={
            "output_dir": str(output),
            "max_steps": config.steps * method.updates_per_step(config.batch_size),
            "learning_rate": config.learning_rate,
            "per_device_train_batch_size": _share(config.batch_size),
            "seed": config.seed,
        },
    )


def _data(
    method: Method,
    config: RunConfig,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    control: Control,
    write: Write,
) -> Dataset:
    """What the method learns from, as `Setup.data` holds it."""
    match method.learns_from:
        case "demonstrations":
            count = min(config.steps * config.batch_size, DEMONSTRATIONS)
            return encode_demonstrations(tokenizer, task.demonstrations(count, config.seed))
        case "pairs":
            return encode_pairs(tokenizer, _pairs(config, task, control, write))
        case "rollouts":
            return Dataset.from_dict({"prompt": task.prompts("train")})


def _pairs(config: RunConfig, task: Task, control: Control, write: Write) -> list[dict[str, Any]]:
    """The pairs of the file, else of a model's own texts; a share of labels is flipped."""
    if config.preferences is not None:
        pairs = read_preferences(config.preferences)
        if config.preference_pairs is not None:
            pairs = pairs[: config.preference_pairs]
    else:
        pairs = _own_pairs(config, task, control, write)
    return with_label_noise(pairs, config.label_noise, config.seed)


def _own_pairs(
    config: RunConfig, task: Task, control: Control, write: Write
) -> list[dict[str, Any]]:
    """The task's own pairs, or stored ones, where there are; of another model, or of few groups,
    they are sampled first, and labelled by the task's rater."""
    source, count = config.pair_source or config.model, config.preference_pairs
    covers = partial(task.covers, config.coverage)
    if config.pair_source is None and task.preferences is not None:
        return _covered(task, count, config.seed, covers)
    if config.task in BUILT_IN and source == task.reference:
        try:
            return stored_pairs(config.task, count, config.seed, covers)
        except ConfigError:
            if config.coverage == "all":
                raise

    def progress(done: int) -> None:
        line = f"Sampling preference pairs: {done} of {count}"
        message = Message("sampling", {"done": done, "count": count}, line)
        write("status", 0, status="running", **in_event(message))

    return sampled_pairs(
        load_policy(source),
        load_tokenizer(source),
        task,
        count,
        config.seed,
        covers,
        progress,
        interrupted=lambda: control.stopping,
    )


def _covered(task: Task, count: int, seed: int, covers: Covers) -> list[dict[str, Any]]:
    """`count` of the task's own pairs of the prompts that are covered, drawn from ever more."""
    for times in (1, 4, 16, 64):
        drawn = task.preferences(times * count, seed)
        own = [pair for pair in drawn if covers(pair["prompt"])][:count]
        if len(own) == count:
            return own
    takes = f"at most the {len(own)} pairs that the task has of such prompts"
    raise ConfigError(complaint("--preference-pairs", count, takes, "pool", most=len(own)))


def _share(batch_size: int) -> int:
    """What each process takes of a batch."""
    if batch_size % distributed.COUNT:
        takes = f"a multiple of the {distributed.COUNT} processes"
        raise ConfigError(complaint("--batch-size", batch_size, takes))
    return batch_size // distributed.COUNT
