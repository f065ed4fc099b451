"""Shared parts of experiments on language models: training runs, curves, best-of-n, win rates."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from align_core.config.model_index import reference_samples
from align_core.config.model_size import FULL_SIZE
from align_core.config.run_config import RunConfig, resolve
from align_core.config.task_card import known_reference
from align_core.data.encoding import encode_pairs, encode_prompts
from align_core.evaluation.evaluator import Evaluator
from align_core.evaluation.pair_accuracy import pair_accuracy
from align_core.evaluation.prepared import stored_samples
from align_core.evaluation.reference_samples import stored_scores
from align_core.evaluation.win_rate import wins
from align_core.experiments import TASK
from align_core.models.libraries import silence_libraries
from align_core.models.loading import (
    load_policy,
    load_tokenizer,
    load_trainable,
    new_reward_model,
    save_model,
)
from align_core.models.rewards import ProxyReward, proxy_reward
from align_core.models.sampling import FixedDraw, end_ids, sample
from align_core.optimum import FloatArray, ReferenceSamples, best_of_n
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory
from align_core.runs.events import series
from align_core.tasks import load_task
from align_core.trainers import likelihood, reward
from align_core.trainers.common import WARMUP, NonFinite
from align_core.training.callback import RunCallback
from align_core.training.run import run as execute

REFERENCE = known_reference(TASK)

Curve = list[dict[str, Any]]
_METRICS = {
    "gold": "eval/gold_reward",
    "reference": "eval/gold_reward_reference",
    "proxy": "eval/proxy_reward",
    "kl": "eval/kl",
    "gain": "eval/gain",
    "efficiency": "eval/frontier_efficiency",
    "win_rate": "eval/win_rate",
}


@contextlib.contextmanager
def trained(config: RunConfig) -> Iterator[RunDirectory]:
    """The directory of a finished run, which is deleted at the end of the context."""
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory.create(Path(folder) / "run", config)
        execute(config, run, Control())
        run.close()
        yield run


def curve(events: Sequence[dict[str, Any]]) -> Curve:
    """The evaluations of a run from step 0 on, with metrics of docs/metrics.md by shorter names.

    Unknown metrics are None.
    """
    points = series(events)
    columns = {name: dict(points.get(metric, [])) for name, metric in _METRICS.items()}
    return [
        {"step": step, **{name: values.get(step) for name, values in columns.items()}}
        for step in columns["gold"]
    ]


def train_reward_model(
    path: Path, pairs: list[dict], layers: int, seed: int, steps: int, stored: int, best_of: int
) -> dict[str, Any]:
    """Train a reward model on the first layers of the reference and save it to `path`.

    Returns its number of parameters, its accuracy on held-out pairs of reference samples, and its
    `best_of_n_curve` for `stored` samples of each prompt and n up to `best_of`.
    """
    silence_libraries()
    tokenizer = load_tokenizer(REFERENCE)
    model = new_reward_model(REFERENCE, seed)
    model.base_model.layers = model.base_model.layers[:layers]
    model.config.num_hidden_layers = layers
    config = resolve("reward", TASK, preference_pairs=len(pairs), steps=steps, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        trainer = reward.make_trainer(
            model,
            tokenizer,
            encode_pairs(tokenizer, pairs),
            output_dir=folder,
            max_steps=steps,
            learning_rate=config.learning_rate,
            per_device_train_batch_size=config.batch_size,
            seed=seed,
        )
        trainer.train()
    save_model(model, tokenizer, path)
    proxy = ProxyReward(model.eval(), tokenizer)
    heldout = ReferenceSamples.load(reference_samples(TASK, "heldout"))
    return {
        "parameters": model.num_parameters(),
        "accuracy": pair_accuracy(proxy, tokenizer, heldout, pairs=2)[0].mean().item(),
        "curve": best_of_n_curve(proxy, stored, best_of),
    }


def probe_evaluator(
    task: str,
    seed: int,
    eval_prompts: int = FULL_SIZE.prompts,
    eval_samples: int = FULL_SIZE.samples,
) -> Evaluator:
    """An evaluator on the probe prompts against the task's reference, as in runs."""
    the_task = load_task(task)
    reference = known_reference(task)
    tokenizer = load_tokenizer(reference)
    prompts = the_task.prompts("probe")[:eval_prompts]
    return Evaluator(
        prompts,
        tokenizer,
        load_policy(reference),
        gold=partial(the_task.reward, eos_token_id=tokenizer.eos_token_id),
        proxy=proxy_reward(None, the_task, tokenizer),
        stored=stored_samples(task, reference, "probe"),
        max_new_tokens=the_task.max_new_tokens,
        seed=seed,
        samples=eval_samples,
    )


def train_on_likelihood(
    task: str,
    pairs: list[dict],
    alpha: float,
    *,
    steps: int,
    every: int,
    seed: int,
    **evaluation: int,
) -> tuple[PreTrainedModel, Curve]:
    """Preferred-FT (α = 0) or unlikelihood, with the batches and schedule of DPO.

    `evaluation` are options of `probe_evaluator`. Returns the policy and its curve.
    """
    silence_libraries()
    tokenizer, policy = (load(known_reference(task)) for load in (load_tokenizer, load_trainable))
    torch.manual_seed(seed)
    evaluator = probe_evaluator(task, seed, **evaluation)
    events: list[dict[str, Any]] = []

    def write(kind: str, step: int, **payload: Any) -> None:
        events.append({"kind": kind, "step": step, **payload})

    with tempfile.TemporaryDirectory() as folder:
        trainer = likelihood.LikelihoodTrainer(
            policy,
            tokenizer,
            encode_pairs(tokenizer, pairs),
            alpha=alpha,
            output_dir=folder,
            max_steps=steps,
            learning_rate=resolve("dpo", task).learning_rate,
            per_device_train_batch_size=max(1, len(pairs) // steps),
            warmup_steps=steps // WARMUP,
            seed=seed,
        )
        trainer.add_callback(
            RunCallback(
                trainer,
                Control(),
                write,
                lambda: {"metrics": evaluator.metrics(evaluator(policy))},
                updates_per_step=1,
                eval_every=every,
                deadline=math.inf,
            )
        )
        # Unlikelihood is unbounded: keep the policy of the last finite step.
        with contextlib.suppress(NonFinite):
            trainer.train()
    return policy, curve(events)


def win_rates(
    policy: PreTrainedModel,
    temperatures: Sequence[float],
    seed: int,
    eval_prompts: int = FULL_SIZE.prompts,
    eval_samples: int = FULL_SIZE.samples,
) -> list[float]:
    """For each temperature, `eval/win_rate` of the policy sampled at this temperature.

    The reference is sampled at temperature 1, with the same noise.
    """
    task, tokenizer = load_task(TASK), load_tokenizer(REFERENCE)
    prompts = task.prompts("probe")[:eval_prompts]
    encoded = encode_prompts(tokenizer, prompts).repeat(eval_samples)
    width = policy.get_output_embeddings().weight.shape[0]
    draw = FixedDraw(seed, prompts, eval_samples, task.max_new_tokens, width)

    def gold(model: PreTrainedModel, temperature: float) -> torch.Tensor:
        responses = sample(
            model,
            encoded,
            draw,
            max_new_tokens=task.max_new_tokens,
            end_ids=end_ids(model, tokenizer),
            pad_id=tokenizer.pad_token_id,
            temperature=temperature,
        )
        texts = responses.texts(tokenizer, encoded)
        rows = [prompt for prompt in prompts for _ in range(eval_samples)]
        rewards = task.reward(rows, texts, ended=responses.ended.tolist())
        return torch.tensor(rewards, dtype=torch.float64)

    reference_rewards = gold(load_policy(REFERENCE), 1.0)
    return [wins(gold(policy, value), reference_rewards).mean().item() for value in temperatures]


def best_of_n_curve(proxy: ProxyReward | None, samples: int, max_n: int) -> Curve:
    """The curve of best-of-n with the reward model (the gold reward if None).

    It has a point for each n of 1, 2, 4, … up to `max_n`. It is exact for a reference that gives
    its first `samples` stored texts equal probability. KL is in nats; the proxy rewards are shifted
    to mean 0.
    """
    scores, gold = scores_of_stored(proxy, samples)
    scores = scores - scores.mean()
    points = []
    for n in (2**power for power in range(max_n.bit_length())):
        reward, kl = best_of_n(scores, n, gold)
        points.append({"n": n, "kl": kl, "gold": reward, "proxy": best_of_n(scores, n)[0]})
    return points


def scores_of_stored(proxy: ProxyReward | None, samples: int) -> tuple[FloatArray, FloatArray]:
    """The proxy rewards (the gold ones if None) and the gold rewards, [P, samples] each, of the
    first stored texts of the reference for each probe prompt, in nats."""
    stored = ReferenceSamples.load(reference_samples(TASK, "probe"))
    gold = stored.rewards[:, :samples]
    if proxy is None:
        return gold, gold
    rows = list(np.ndindex(gold.shape))
    scores = stored_scores(proxy, load_tokenizer(REFERENCE), stored, rows)
    return scores.view(gold.shape).numpy(), gold
