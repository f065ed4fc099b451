"""One run from its configuration to its model: the only place where all the parts meet."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import transformers
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer
from transformers.trainer import OPTIMIZER_NAME, TRAINER_STATE_NAME

from align_core.config.errors import ConfigError, complaint
from align_core.config.messages import Told, in_event
from align_core.config.model_index import reference_samples
from align_core.config.run_config import RunConfig
from align_core.data.encoding import encode_demonstrations, encode_pairs
from align_core.data.preference_files import read_preferences, stored_pairs
from align_core.evaluation.evaluator import Evaluator, agreement
from align_core.evaluation.provenance import coverage
from align_core.evaluation.reference_samples import frontier
from align_core.models import distributed
from align_core.models.libraries import quieten_libraries
from align_core.models.loading import (
    freeze_trunk,
    load_policy,
    load_to_train,
    load_tokenizer,
    new_reward_model,
    save_model,
    value_model_of,
)
from align_core.models.rewards import ProxyReward, proxy_reward
from align_core.models.sampled_pairs import sampled_pairs, with_label_noise
from align_core.models.sharding import whole
from align_core.optimum import ReferenceSamples
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory, turned
from align_core.tasks import Task, load_task
from align_core.trainers import dpo, reward, sft
from align_core.trainers.common import NonFinite
from align_core.trainers.ppo import trainer as ppo
from align_core.training.callback import RunCallback, Write
from align_core.training.example_token import close_up

# PPO's settings beyond those of RunConfig. The clip on the value is in nats, wide enough for
# rewards of a few nats.
PPO_SETTINGS = {"num_ppo_epochs": 2, "cliprange_value": 5.0}
WARMUP = 8  # an eighth of the steps: what large first ones disturb is paid for in KL to the end
DEMONSTRATIONS = 2048  # at most, for SFT; a longer run sees them again


def run(
    config: RunConfig,
    directory: RunDirectory,
    control: Control,
    resume: bool = False,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> str:
    """Execute a run; its events and its model go to `directory`.

    Returns "finished", "stopped" (the model is kept) or "failed" (the loss or a gradient was not
    finite; the last good model is kept). Raises ConfigError for bad input that only a look inside
    a file could tell.
    """
    quieten_libraries()
    started = time.monotonic()

    def write(kind: str, step: int, **payload: Any) -> None:
        event = {"kind": kind, "step": step, "seconds": time.monotonic() - started, **payload}
        directory.append(event)
        if on_event is not None:
            on_event(event)

    checkpoint = _last_checkpoint(directory) if resume else None
    done = _step_of(checkpoint) if checkpoint else 0
    if resume:
        write("resume", done // _updates_per_step(config))
    write("status", done // _updates_per_step(config), status="running", message="")
    transformers.set_seed(config.seed)

    parts = _build(config, directory, control, write)
    trainer = parts.trainer
    if resume and hasattr(trainer, "beta"):
        trainer.beta = turned(config.model_dump(), directory.events()[0])["beta"]
    callback = RunCallback(
        trainer,
        control,
        write,
        parts.evaluate,
        updates_per_step=_updates_per_step(config),
        eval_every=config.eval_every,
        deadline=started + (config.time_limit or math.inf),
    )
    trainer.add_callback(callback)
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except NonFinite as error:
        failed_at = trainer.state.global_step // _updates_per_step(config) + 1
        status, message = "failed", _advice(error, failed_at, config)
    else:
        status = "finished" if callback.stop_reason is None else "stopped"
        message = callback.stop_reason or ""
    ended = {"status": status, **in_event(message)}
    with parts.whole():
        if directory.writes:
            save_model(parts.model(), parts.tokenizer, directory.model_path)
        distributed.part()
        step = trainer.state.global_step // _updates_per_step(config)
        write("status", step, **ended)
        # A stop is told at once, and then what it kept is measured; a further stop cuts that short.
        if status == "stopped" and directory.writes:
            with contextlib.suppress(KeyboardInterrupt):
                if callback.measure():
                    write("status", step, **ended)
    return status


@dataclass(frozen=True)
class _Parts:
    trainer: Trainer
    tokenizer: PreTrainedTokenizerBase
    model: Callable[[], PreTrainedModel]  # the trained model; TRL may wrap it in an adapter
    evaluate: Callable[[], dict[str, Any]]
    whole: Callable[[], AbstractContextManager]  # in which no process needs another


def _build(config: RunConfig, directory: RunDirectory, control: Control, write: Write) -> _Parts:
    task = load_task(config.task)
    tokenizer = load_tokenizer(config.model)

    def interrupted() -> bool:
        return control.stopping

    arguments = {
        "output_dir": str(_checkpoints(directory)),
        "max_steps": config.steps * _updates_per_step(config),
        "learning_rate": config.learning_rate,
        "per_device_train_batch_size": _share(config.batch_size),
        "seed": config.seed,
        "lora_r": config.lora_r,
    }
    if config.method == "reward":
        return _build_reward(config, task, tokenizer, arguments, write, interrupted)

    if config.method != "sft":
        arguments["warmup_steps"] = config.steps // WARMUP
    policy = load_to_train(config.model)
    # Under LoRA the reference is the policy with its adapter off: no second copy of the weights.
    reference = None if config.lora_r else load_policy(config.model).requires_grad_(False)
    gold = partial(task.reward, eos_token_id=tokenizer.eos_token_id)
    proxy = proxy_reward(config.reward_model, config.task, tokenizer)
    if config.method == "sft":
        count = min(config.steps * config.batch_size, DEMONSTRATIONS)
        examples = task.demonstrations(count, config.seed)
        demonstrations = encode_demonstrations(tokenizer, examples)
        trainer: Trainer = sft.build(policy, tokenizer, demonstrations, **arguments)
    elif config.method == "dpo":
        pairs = encode_pairs(tokenizer, _pairs(config, task, write, interrupted))
        trainer = dpo.build(policy, reference, tokenizer, pairs, beta=config.beta, **arguments)
    else:
        trainer = ppo.build(
            policy,
            reference,
            tokenizer,
            Dataset.from_dict({"prompt": task.prompts("train")}),
            reward=gold if config.reward_model == "gold" else proxy,
            **_ppo_settings(config, task, proxy),
            **arguments,
        )

    if proxy is not None:
        proxy.model.to(trainer.args.device)

    def trained() -> PreTrainedModel:
        return trainer.policy if config.method == "ppo" else trainer.model

    evaluator = Evaluator(
        task.prompts("probe"),
        tokenizer,
        reference,
        gold=gold,
        proxy=proxy,
        frontier=frontier(task.name, config.model, "probe", task.prompts("probe")),
        max_new_tokens=task.max_new_tokens,
        seed=config.seed,
        sides=task.sides(coverage(config), task.prompts("probe")),
        interrupted=interrupted,
    )

    def gathered() -> AbstractContextManager:
        return whole(trainer.model, reference)

    def evaluate() -> dict[str, Any]:
        with gathered():
            found = evaluator(trained())
            token = close_up(trainer) if config.method == "ppo" else None
        events = {"metrics": evaluator.metrics(found), "samples": evaluator.shown(found)}
        return events if token is None else {**events, "token": token}

    return _Parts(trainer, tokenizer, trained, evaluate, gathered)


def _ppo_settings(config: RunConfig, task: Task, proxy: ProxyReward | None) -> dict[str, Any]:
    # The value model starts as the reward model; LoRA is for saving memory, and uses the head.
    with_value_model = proxy is not None and not config.lora_r
    return {
        **PPO_SETTINGS,
        "kl_coef": config.beta,
        "num_mini_batches": _minibatches(config),
        "response_length": task.max_new_tokens,
        "value_model": value_model_of(proxy.model) if with_value_model else None,
        "lam": 1.0 if with_value_model else 0.95,  # who values well needs no bias for low variance
        "whiten_advantages": config.whiten_advantages,
    }


def _build_reward(
    config: RunConfig,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    arguments: dict[str, Any],
    write: Write,
    interrupted: Callable[[], bool],
) -> _Parts:
    model = new_reward_model(config.model, config.seed)
    if config.freeze_trunk:
        freeze_trunk(model)
    pairs = encode_pairs(tokenizer, _pairs(config, task, write, interrupted))
    trainer = reward.build(model, tokenizer, pairs, **arguments)
    stored = ReferenceSamples.load(reference_samples(task.name, "probe"))
    sides = task.sides(config.coverage, stored.prompts)
    parts = {"": stored} | {f"_{side}": stored.only(prompts) for side, prompts in sides.items()}

    def gathered() -> AbstractContextManager:
        return whole(trainer.model)

    def evaluate() -> dict[str, Any]:
        metrics = {}
        with gathered():
            proxy = ProxyReward(trainer.model, tokenizer)
            for part, samples in parts.items():
                accuracy, margin = agreement(proxy, tokenizer, samples)
                metrics[f"eval/accuracy{part}"] = accuracy.mean().item()
                metrics[f"eval/margin{part}"] = margin.mean().item()
        return {"metrics": metrics}

    return _Parts(trainer, tokenizer, lambda: trainer.model, evaluate, gathered)


def _pairs(
    config: RunConfig,
    task: Task,
    write: Write,
    interrupted: Callable[[], bool],
) -> list[dict]:
    if config.preferences is not None:
        pairs = read_preferences(config.preferences)
        if config.preference_pairs is not None:
            pairs = pairs[: config.preference_pairs]
    else:
        pairs = _own_pairs(config, task, write, interrupted)
    return with_label_noise(pairs, config.label_noise, config.seed)


def _own_pairs(
    config: RunConfig, task: Task, write: Write, interrupted: Callable[[], bool]
) -> list[dict]:
    """Stored pairs where there are; of another model, or of few groups, they are sampled first."""
    source, count = config.pair_source or config.model, config.preference_pairs
    covers = partial(task.covers, config.coverage)
    if source == f"sft-{task.name}":
        try:
            return stored_pairs(task.name, count, config.seed, covers)
        except ConfigError:
            if config.coverage == "all":
                raise

    def progress(done: int) -> None:
        line = f"Sampling preference pairs: {done} of {count}"
        told = Told(line, "sampling", done=done, count=count)
        write("status", 0, status="running", **in_event(told))

    return sampled_pairs(
        load_policy(source),
        load_tokenizer(source),
        task,
        count,
        config.seed,
        covers,
        progress,
        interrupted,
    )


def _share(batch_size: int) -> int:
    """What each process takes of a batch."""
    if batch_size % distributed.COUNT:
        takes = f"a multiple of the {distributed.COUNT} processes"
        raise ConfigError(complaint("--batch-size", batch_size, takes))
    return batch_size // distributed.COUNT


def _updates_per_step(config: RunConfig) -> int:
    """Optimiser updates in what `--steps` counts: a rollout in PPO, else one."""
    if config.method != "ppo":
        return 1
    return PPO_SETTINGS["num_ppo_epochs"] * _minibatches(config)


def _minibatches(config: RunConfig) -> int:
    """Two equal halves of a rollout, or one piece where its episodes are odd in number."""
    return 1 if config.batch_size % 2 else 2


def _checkpoints(directory: RunDirectory) -> Path:
    return directory.path / "checkpoints"


def _last_checkpoint(directory: RunDirectory) -> Path | None:
    """The newest checkpoint that is whole: its state is what Trainer writes last.

    Raises ConfigError where FSDP, DeepSpeed or neither wrote it and this launch is another: a file
    that is read by the first process alone would be missing, and the others wait.
    """
    ended = []
    for folder in _checkpoints(directory).glob("checkpoint-*"):
        with contextlib.suppress(OSError, ValueError):
            json.loads((folder / TRAINER_STATE_NAME).read_text())
            ended.append(folder)
    newest = max(ended, key=_step_of, default=None)
    if newest and _sharded_by(newest) != distributed.SHARDED_BY:
        launched = (
            f"with {distributed.SHARDED_BY}" if distributed.SHARDED_BY else "with models whole"
        )
        takes = f"a run that was launched as this is, {launched}"
        raise ConfigError(complaint("--resume", str(directory.path), takes))
    return newest


def _sharded_by(checkpoint: Path) -> str | None:
    if (checkpoint / OPTIMIZER_NAME).is_file():
        return None
    return "DeepSpeed" if any(checkpoint.glob("global_step*")) else "FSDP"


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])


def _advice(error: NonFinite, step: int, config: RunConfig) -> Told:
    tries = [f"a learning rate below {config.learning_rate:g}"]
    if config.beta is not None:
        tries.append(f"a beta above {config.beta:g}")
    line = (
        f"Stopped in step {step}, before the weights were spoilt: {error}. The model of the last "
        f"good step is kept. Try {' or '.join(tries)}."
    )
    settings = {"learning_rate": config.learning_rate, "beta": config.beta}
    return Told(line, "not_finite", step=step, what=in_event(error.line), **settings)
