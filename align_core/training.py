"""One run from its configuration to its model: the only place where all the parts meet."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import transformers
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer
from transformers.trainer import TRAINER_STATE_NAME

from align_core import processes
from align_core.callbacks import RunCallback
from align_core.catalogue import reference_samples
from align_core.configs import ConfigError, RunConfig, complaint
from align_core.control import Control
from align_core.data import read_preferences
from align_core.encoding import encode_demonstrations, encode_pairs
from align_core.evaluation import Evaluator, agreement
from align_core.models import (
    freeze_trunk,
    load_policy,
    load_to_train,
    load_tokenizer,
    new_reward_model,
    save_model,
    value_model_of,
)
from align_core.optimum import Frontier, ReferenceSamples
from align_core.preferences import sampled_pairs, stored_pairs, with_label_noise
from align_core.rewards import ProxyReward, proxy_reward
from align_core.runs import RunDirectory, replay
from align_core.tasks import Task, load_task
from align_core.trainers import dpo, ppo, reward, sft
from align_core.trainers.common import NonFinite

# PPO's settings beyond those of RunConfig. The clip on the value is in nats, wide enough for
# rewards of a few nats.
PPO_SETTINGS = {"num_ppo_epochs": 2, "cliprange_value": 5.0}
WARMUP = 8  # an eighth of the steps: what large first ones disturb is paid for in KL to the end
DEMONSTRATIONS = 2048  # at most, for SFT; a longer run sees them again

Write = Callable[..., None]


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
        trainer.beta = _last_beta(config, directory)
    callback = RunCallback(
        trainer,
        control,
        write,
        parts.evaluate,
        updates_per_step=_updates_per_step(config),
        eval_every=config.eval_every,
        deadline=None if config.time_limit is None else started + config.time_limit,
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
    if directory.writes:
        save_model(parts.model(), parts.tokenizer, directory.model_path)
    trainer.accelerator.end_training()
    step = trainer.state.global_step // _updates_per_step(config)
    write("status", step, status=status, message=message)
    return status


@dataclass(frozen=True)
class _Parts:
    trainer: Trainer
    tokenizer: PreTrainedTokenizerBase
    model: Callable[[], PreTrainedModel]  # the trained model; TRL may wrap it in an adapter
    evaluate: Callable[[], dict[str, Any]]


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
        pairs = encode_pairs(tokenizer, _pairs(config, task, tokenizer, write, interrupted))
        trainer = dpo.build(policy, reference, tokenizer, pairs, beta=config.beta, **arguments)
    else:
        arguments["num_mini_batches"] = _minibatches(config)
        # The value model starts as the reward model; LoRA is for saving memory, and uses the head.
        with_value_model = proxy is not None and not config.lora_r
        trainer = ppo.build(
            policy,
            reference,
            tokenizer,
            Dataset.from_dict({"prompt": task.prompts("train")}),
            reward=gold if config.reward_model == "gold" else proxy,
            kl_coef=config.beta,
            value_model=value_model_of(proxy.model) if with_value_model else None,
            lam=1.0 if with_value_model else 0.95,  # who values well needs no bias for low variance
            response_length=task.max_new_tokens,
            **PPO_SETTINGS,
            **arguments,
        )

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
        interrupted=interrupted,
    )

    def evaluate() -> dict[str, Any]:
        found = evaluator(trained())
        return {"metrics": evaluator.metrics(found), "samples": evaluator.shown(found)}

    return _Parts(trainer, tokenizer, trained, evaluate)


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
    pairs = encode_pairs(tokenizer, _pairs(config, task, tokenizer, write, interrupted))
    trainer = reward.build(model, tokenizer, pairs, **arguments)
    stored = ReferenceSamples.load(reference_samples(task.name, "probe"))

    def evaluate() -> dict[str, Any]:
        proxy = ProxyReward(trainer.model, tokenizer)
        accuracy, margin = agreement(proxy, tokenizer, stored)
        metrics = {"eval/accuracy": accuracy.mean().item(), "eval/margin": margin.mean().item()}
        return {"metrics": metrics}

    return _Parts(trainer, tokenizer, lambda: trainer.model, evaluate)


def frontier(task: str, reference: str, split: str, prompts: list[str]) -> Frontier | None:
    """The frontier of the task's embedded SFT model on these prompts; None for any other model."""
    if reference != f"sft-{task}":
        return None
    stored = ReferenceSamples.load(reference_samples(task, split))
    return Frontier.of(stored.only(prompts).rewards)


def _pairs(
    config: RunConfig,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    write: Write,
    interrupted: Callable[[], bool],
) -> list[dict]:
    if config.preferences is not None:
        pairs = read_preferences(config.preferences)
        if config.preference_pairs is not None:
            pairs = pairs[: config.preference_pairs]
    elif config.model == f"sft-{config.task}":
        pairs = stored_pairs(config.task, config.preference_pairs, config.seed)
    else:

        def progress(done: int) -> None:
            message = f"Sampling preference pairs: {done} of {config.preference_pairs}"
            write("status", 0, status="running", message=message)

        pairs = sampled_pairs(
            load_policy(config.model),
            tokenizer,
            task,
            config.preference_pairs,
            config.seed,
            progress,
            interrupted,
        )
    return with_label_noise(pairs, config.label_noise, config.seed)


def _share(batch_size: int) -> int:
    """What each process takes of a batch."""
    if batch_size % processes.COUNT:
        takes = f"a multiple of the {processes.COUNT} processes"
        raise ConfigError(complaint("--batch-size", batch_size, takes))
    return batch_size // processes.COUNT


def _updates_per_step(config: RunConfig) -> int:
    """Optimiser updates in what `--steps` counts: a rollout in PPO, else one."""
    if config.method != "ppo":
        return 1
    return PPO_SETTINGS["num_ppo_epochs"] * _minibatches(config)


def _minibatches(config: RunConfig) -> int:
    """Two equal halves of a rollout, or one piece where its episodes are odd in number."""
    return 1 if config.batch_size % 2 else 2


def _last_beta(config: RunConfig, directory: RunDirectory) -> float:
    beta = config.beta
    for event in replay(directory.events()[0]):
        if event["kind"] == "change":
            beta = event["settings"].get("beta", beta)
    return beta


def _checkpoints(directory: RunDirectory) -> Path:
    return directory.path / "checkpoints"


def _last_checkpoint(directory: RunDirectory) -> Path | None:
    """The newest checkpoint that is whole: its state is what Trainer writes last."""
    whole = []
    for folder in _checkpoints(directory).glob("checkpoint-*"):
        with contextlib.suppress(OSError, ValueError):
            json.loads((folder / TRAINER_STATE_NAME).read_text())
            whole.append(folder)
    return max(whole, key=_step_of, default=None)


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])


def _advice(error: NonFinite, step: int, config: RunConfig) -> str:
    tries = [f"a learning rate below {config.learning_rate:g}"]
    if config.beta is not None:
        tries.append(f"a beta above {config.beta:g}")
    return (
        f"Stopped in step {step}, before the weights were spoilt: {error}. The model of the last "
        f"good step is kept. Try {' or '.join(tries)}."
    )


def quieten_libraries() -> None:
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    logging.getLogger("trl").setLevel(logging.ERROR)
