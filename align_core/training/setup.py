"""Set-up of a run before its first step: models, training data and rewards."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from align_core.config.errors import ConfigError, option_error
from align_core.config.messages import Message, to_event
from align_core.config.methods import Method, methods
from align_core.config.run_config import RunConfig
from align_core.config.task_card import BUILT_IN, NAMES
from align_core.data.encoding import encode_demonstrations, encode_pairs, encode_ratings
from align_core.data.preference_files import (
    Covers,
    ratings_of,
    read_preferences,
    read_ratings,
    stored_pairs,
)
from align_core.evaluation.prepared import stored_scale
from align_core.models import distributed
from align_core.models.checks import check_lengths, check_policy, check_room, check_vocabulary
from align_core.models.loading import (
    load_policy,
    load_tokenizer,
    load_trainable,
    new_reward_model,
)
from align_core.models.prompts import check_prompts, model_inputs, rows_with_model_inputs
from align_core.models.reward_scale import reward_scale
from align_core.models.rewards import ProxyReward, for_samples, proxy_reward
from align_core.models.sampled_pairs import sampled_pairs, with_label_noise
from align_core.models.sampling import end_ids
from align_core.runs.directory import RunDirectory
from align_core.tasks import Task, get_task
from align_core.tasks.task import Rows
from align_core.trainers.common import QUIET, Setup
from align_core.training import checkpoints
from align_core.training.callback import Write
from align_core.training.probes import probes_of

MAX_DEMONSTRATIONS = 2048  # a longer run repeats them


def prepare(
    config: RunConfig, directory: RunDirectory, write: Write, interrupted: Callable[[], bool]
) -> Setup:
    """Load the models of a run in `directory` and encode its data.

    While pairs are sampled, `write` writes status events, and the sampling ends early once
    `interrupted()` is true.

    Raises:
        ConfigError: invalid content of a file.
    """
    _check_device(config)
    task, method = get_task(config.task), methods()[config.method]
    tokenizer = load_tokenizer(config.model)
    reference = proxy = None
    if method.makes == "reward model":
        model = new_reward_model(config.model, config.seed)
    else:
        model = load_trainable(config.model)
        check_policy(model, tokenizer)
        # With LoRA the reference is the policy with its adapter disabled.
        reference = None if config.lora_r else load_trainable(config.model).requires_grad_(False)
        ends = end_ids(model, tokenizer)
        proxy = proxy_reward(config.reward_model, task, tokenizer, ends)
    check_vocabulary(model, tokenizer)
    readers = [proxy.model] if isinstance(proxy, ProxyReward) and proxy.reads_ids else []
    probes = probes_of(config, task, tokenizer)
    if probes.from_file:
        file, models = str(config.preferences), [model, *readers]
        check_room(probes.inputs, task.max_new_tokens, file, tokenizer, *models)
    else:
        check_prompts(task, model, tokenizer, *readers)
    task = _in_nats(task, config, directory, write)
    data = _data(method, config, task, tokenizer, write, interrupted)
    check_lengths(_lengths(data), model, config.preferences)
    return Setup(
        config=config,
        task=task,
        tokenizer=tokenizer,
        model=model,
        reference=reference,
        data=data,
        gold=for_samples(task.reward, end_ids(model, tokenizer)),
        proxy=proxy,
        arguments=QUIET
        | {
            "output_dir": str(checkpoints.folder(directory)),
            "save_total_limit": checkpoints.MAX_KEPT,
            "max_steps": config.steps * method.updates_per_step(config.batch_size),
            "learning_rate": config.learning_rate,
            "per_device_train_batch_size": _per_process(config.batch_size),
            "seed": config.seed,
        }
        | ({"use_cpu": config.device == "cpu"} if config.device else {}),
        interrupted=interrupted,
    )


def _lengths(data: Dataset) -> list[int]:
    """The number of tokens of each row's longest text, prompt included; [] for rollouts."""
    texts = [name for name in data.column_names if name.endswith("_ids") and name != "prompt_ids"]
    longest = [max(map(len, row)) for row in zip(*(data[name] for name in texts), strict=True)]
    prompts = data["prompt_ids"] if "prompt_ids" in data.column_names else [[]] * len(longest)
    return [len(prompt) + length for prompt, length in zip(prompts, longest, strict=True)]


def _check_device(config: RunConfig) -> None:
    """Raises ConfigError if the run asks for a GPU that PyTorch does not see."""
    if config.device == "cuda" and not torch.cuda.is_available():
        expected = "'cpu': PyTorch sees no GPU on this machine"
        raise ConfigError(option_error("--device", "cuda", expected))


def _in_nats(task: Task, config: RunConfig, directory: RunDirectory, write: Write) -> Task:
    """The task with its reward in nats; the scale is stored with the run."""
    if task.reward_std is None:
        return task
    scale = directory.reward_scale
    if scale is None:
        scale = stored_scale(config.task, config.model)
        scale = scale or reward_scale(task, load_policy(config.model), load_tokenizer(config.model))
        directory.store_reward_scale(scale)
    line = (
        f"A point of the reward is worth {scale:.4g} nats: the reference's samples have a standard "
        f"deviation of {task.reward_std:g} nats"
    )
    message = Message("reward_scale", {"nats": scale, "std": task.reward_std}, line)
    write("status", 0, status="running", **to_event(message))
    return task.scaled(scale)  # type: ignore[attr-defined]  # a task in a folder has it


def _data(
    method: Method,
    config: RunConfig,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    write: Write,
    interrupted: Callable[[], bool],
) -> Dataset:
    """The training data of the method, as in `Setup.data`."""
    match method.learns_from:
        case "demonstrations":
            assert task.demonstrations is not None  # `resolve` refuses tasks without them
            count = min(config.steps * config.batch_size, MAX_DEMONSTRATIONS)
            rows = task.demonstrations(count, config.seed)
            return encode_demonstrations(tokenizer, rows_with_model_inputs(tokenizer, task, rows))
        case "pairs":
            rows = _pairs(config, task, write, interrupted)
            return encode_pairs(tokenizer, rows_with_model_inputs(tokenizer, task, rows))
        case "ratings":
            rows = _ratings(config, task, write, interrupted)
            return encode_ratings(tokenizer, rows_with_model_inputs(tokenizer, task, rows))
        case "rollouts":
            prompts = model_inputs(tokenizer, task, task.prompts("train"))
            return Dataset.from_dict({"prompt": prompts})


def _pairs(
    config: RunConfig, task: Task, write: Write, interrupted: Callable[[], bool]
) -> list[dict[str, Any]]:
    """The pairs of the run's file, or of sampled texts, with the share `label_noise` flipped."""
    if config.preferences is not None:
        pairs = read_preferences(config.preferences, max_rows=config.preference_pairs)
    else:
        pairs = _own_pairs(config, task, write, interrupted)
    assert config.label_noise is not None  # an option of every method that learns from pairs
    return with_label_noise(pairs, config.label_noise, config.seed)


def _ratings(
    config: RunConfig, task: Task, write: Write, interrupted: Callable[[], bool]
) -> list[dict[str, Any]]:
    """The ratings of the run's file, or the two texts of each of the run's pairs."""
    if config.preferences is None:
        pairs = _pairs(config, task, write, interrupted)
        return [rating for pair in pairs for rating in ratings_of(pair)]
    assert config.label_noise is not None  # an option of every method that learns from ratings
    ratings = read_ratings(config.preferences, max_rows=config.preference_pairs)
    return with_label_noise(ratings, config.label_noise, config.seed)


def _own_pairs(
    config: RunConfig, task: Task, write: Write, interrupted: Callable[[], bool]
) -> list[dict[str, Any]]:
    """Pairs for a run without a file: those of the task, or stored ones, or newly sampled ones.

    Stored pairs exist for the references of this package's tasks. New pairs are labelled by the
    task's rater.
    """
    source, count = config.pair_source or config.model, config.preference_pairs
    # Options of every method that learns from pairs.
    assert count is not None and config.coverage is not None
    covers = partial(task.covers, config.coverage)
    if config.pair_source is None and task.preferences is not None:
        return _covered(task.preferences, count, config.seed, covers)
    if config.task in NAMES and source == task.reference:
        try:
            return stored_pairs(config.task, count, config.seed, covers)
        except ConfigError:
            if config.coverage == "all" and config.task in BUILT_IN:
                raise

    def progress(done: int) -> None:
        line = f"Sampling preference pairs: {done} of {count}"
        message = Message("sampling", {"done": done, "count": count}, line)
        write("status", 0, status="running", **to_event(message))

    policy, tokenizer = load_policy(source), load_tokenizer(source)
    check_policy(policy, tokenizer)
    check_prompts(task, policy, tokenizer, splits=("train",))
    return sampled_pairs(
        policy,
        tokenizer,
        task,
        count,
        config.seed,
        covers,
        progress,
        interrupted=interrupted,
    )


def _covered(preferences: Rows, count: int, seed: int, covers: Covers) -> list[dict[str, Any]]:
    """`count` pairs whose prompts are covered, drawn from up to 64 times as many."""
    for times in (1, 4, 16, 64):
        drawn = preferences(times * count, seed)
        pairs = [pair for pair in drawn if covers(pair["prompt"])][:count]
        if len(pairs) == count:
            return pairs
    expected = f"at most the {len(pairs)} pairs that the task has for these prompts"
    raise ConfigError(option_error("--preference-pairs", count, expected, "pool", most=len(pairs)))


def _per_process(batch_size: int) -> int:
    """The batch size of each process. Raises ConfigError if the processes do not divide it."""
    if batch_size % distributed.WORLD_SIZE:
        expected = f"a multiple of the {distributed.WORLD_SIZE} processes"
        raise ConfigError(option_error("--batch-size", batch_size, expected))
    return batch_size // distributed.WORLD_SIZE
