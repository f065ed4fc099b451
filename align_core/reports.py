"""What a person asks of a model outside a run: its quality, its texts, its view of a text."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core import catalogue
from align_core.encoding import encode, encode_prompts, pad_responses
from align_core.evaluation import Evaluation, Evaluator, agreement, pieces
from align_core.models import load_policy, load_reward_model, load_tokenizer
from align_core.objectives import token_logprobs
from align_core.optimum import Frontier, ReferenceSamples
from align_core.rewards import ProxyReward, proxy_reward
from align_core.runs import RunDirectory
from align_core.sampling import RandomDraw, response_outputs, sample
from align_core.tasks import Task, load_task
from align_core.training import frontier

RESAMPLES = 1000


def evaluate(
    model: str, task: str, reference: str | None, prompts: int, seed: int
) -> dict[str, Any]:
    """Every number of docs/metrics.md on held-out prompts, with 95% intervals.

    A reward model gets `accuracy` and `margin` on held-out pairs of reference samples instead.
    """
    the_task = load_task(task)
    heldout = the_task.prompts("heldout")[:prompts]
    if catalogue.is_reward_model(catalogue.locate(model)):
        return _evaluate_reward_model(model, the_task, heldout)
    reference = reference or reference_of(model, task)
    tokenizer = load_tokenizer(model)
    known = frontier(task, reference, "heldout", heldout)
    evaluator = Evaluator(
        heldout,
        tokenizer,
        load_policy(reference),
        gold=partial(the_task.reward, eos_token_id=tokenizer.eos_token_id),
        proxy=proxy_reward(_own_reward_model(model), task, tokenizer),
        frontier=known,
        max_new_tokens=the_task.max_new_tokens,
        seed=seed,
    )
    found = evaluator(load_policy(model))
    measured = {
        name.removeprefix("eval/"): value for name, value in evaluator.metrics(found).items()
    }
    return {"task": task, "prompts": len(heldout), **measured, **_intervals(found, known, heldout)}


def generate(
    model: str, task: str, prompts: list[str], n: int, temperature: float, seed: int
) -> list[dict[str, Any]]:
    """`n` samples for each prompt, with their gold and proxy rewards in nats."""
    the_task = load_task(task)
    tokenizer = load_tokenizer(model)
    proxy = proxy_reward(_own_reward_model(model), task, tokenizer)
    drawn = sample(
        load_policy(model),
        encode_prompts(tokenizer, prompts).repeat(n),
        RandomDraw(seed, n * len(prompts)),
        max_new_tokens=the_task.max_new_tokens,
        end_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
        temperature=temperature,
    )
    ids = drawn.ids()
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
    rows = [prompt for prompt in prompts for _ in range(n)]
    gold = the_task.reward(rows, texts, ended=drawn.ended.tolist())
    scores = proxy(rows, texts, completion_ids=ids) if proxy else [None] * len(rows)
    return [
        {
            "prompt": prompt,
            "completion": text,
            "ended": ended,
            "gold_reward": gold_reward,
            "proxy_reward": proxy_reward,
        }
        for prompt, text, ended, gold_reward, proxy_reward in zip(
            rows, texts, drawn.ended.tolist(), gold, scores, strict=True
        )
    ]


def score(model: str, task: str, prompt: str, completions: list[str]) -> list[dict[str, Any]]:
    """What each completion is worth, and how likely policy and reference find it, in nats."""
    the_task = load_task(task)
    tokenizer = load_tokenizer(model)
    encoded = [encode(tokenizer, prompt, _spaced(text)) for text in completions]
    ids = [completion for _, completion in encoded]
    proxy = proxy_reward(_own_reward_model(model), task, tokenizer)
    rows = [prompt] * len(completions)
    proxies = proxy(rows, completions, completion_ids=ids) if proxy else [None] * len(rows)
    if catalogue.is_reward_model(catalogue.locate(model)):
        policy, reference = load_policy(f"sft-{task}"), load_policy(f"sft-{task}")
    else:
        policy, reference = load_policy(model), load_policy(reference_of(model, task))
    logps = _logprobs(policy, tokenizer, prompt, ids)
    ref_logps = _logprobs(reference, tokenizer, prompt, ids)
    return [
        {
            "prompt": prompt,
            "completion": completion,
            "gold_reward": gold,
            "proxy_reward": proxy_reward,
            "logp": sum(logp),
            "ref_logp": sum(ref_logp),
            "tokens": pieces(tokenizer, row, logp, ref_logp),
        }
        for completion, gold, proxy_reward, row, logp, ref_logp in zip(
            completions,
            the_task.reward(rows, completions),
            proxies,
            ids,
            logps,
            ref_logps,
            strict=True,
        )
    ]


def reference_of(model: str, task: str) -> str:
    """What a model is held against: what its run started from, else the task's SFT model."""
    path = Path(model)
    if path.is_dir() and catalogue.is_run(path):
        return RunDirectory.open(path).config.model
    return f"sft-{task}"


def _evaluate_reward_model(model: str, task: Task, prompts: list[str]) -> dict[str, Any]:
    tokenizer = load_tokenizer(model)
    stored = ReferenceSamples.load(catalogue.reference_samples(task.name, "heldout"))
    proxy = ProxyReward(load_reward_model(model), tokenizer)
    right, margin = agreement(proxy, tokenizer, stored.only(prompts))
    report: dict[str, Any] = {"task": task.name, "prompts": len(prompts)}
    for name, values in (("accuracy", right), ("margin", margin)):
        by_prompt = values.mean(1).numpy()
        report[name] = float(by_prompt.mean())
        report[f"{name}_ci95"] = _half_width(_resampled(len(by_prompt)), by_prompt.__getitem__)
    return report


def _own_reward_model(model: str) -> str | None:
    """The model itself if it is one, else that of its run; None for all others."""
    if catalogue.is_reward_model(catalogue.locate(model)):
        return model
    path = Path(model)
    if path.is_dir() and catalogue.is_run(path):
        return RunDirectory.open(path).config.reward_model
    return None


@torch.no_grad()
def _logprobs(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str, ids: list[list[int]]
) -> list[list[float]]:
    encoded = encode_prompts(tokenizer, [prompt]).repeat(len(ids))
    tokens, mask = pad_responses(ids, tokenizer.pad_token_id)
    logits, _ = response_outputs(model, encoded.to(model.device), tokens, mask)
    logp = token_logprobs(logits, tokens)
    return [row[keep].tolist() for row, keep in zip(logp, mask, strict=True)]


def _spaced(completion: str) -> str:
    """A completion as the tasks write it: it brings the space that parts it from the prompt."""
    return completion if completion[:1].isspace() else " " + completion


def _intervals(
    found: Evaluation, known: Frontier | None, prompts: list[str]
) -> dict[str, float | None]:
    """Half-widths of 95% intervals: the spread of each number over resampled prompts."""

    def by_prompt(values: torch.Tensor) -> np.ndarray:
        return values.double().view(len(prompts), -1).mean(1).numpy()

    gold, ref_gold = by_prompt(found.policy.gold), by_prompt(found.reference.gold)
    above = (found.policy.gold > found.reference.gold).double()
    tied = (found.policy.gold == found.reference.gold).double()
    means = {
        "gold_reward": gold,
        "gold_reward_reference": ref_gold,
        "kl": by_prompt(found.kl),
        "win_rate": by_prompt(above + 0.5 * tied),
        "entropy": by_prompt(found.entropy),
        "length": by_prompt(found.length),
    }
    if found.policy.proxy is not None:
        means["proxy_reward"] = by_prompt(found.policy.proxy)
    draws = _resampled(len(prompts))
    widths: dict[str, float | None] = {
        f"{name}_ci95": _half_width(draws, values.__getitem__) for name, values in means.items()
    }
    for name in ("gain", "frontier_efficiency"):
        widths[f"{name}_ci95"] = None
    if known is not None:
        redrawn = [
            (known.only(rows), gold[rows].mean(), ref_gold[rows].mean(), means["kl"][rows].mean())
            for rows in draws
        ]
        widths["gain_ci95"] = _spread([f.gain(g, r) for f, g, r, _ in redrawn])
        widths["frontier_efficiency_ci95"] = _spread(
            [f.efficiency(g, r, k) for f, g, r, k in redrawn]
        )
    return widths


def _resampled(count: int) -> np.ndarray:
    """Rows of a bootstrap over prompts: [RESAMPLES, count], the same for every number."""
    return np.random.default_rng(0).integers(count, size=(RESAMPLES, count))


def _half_width(draws: np.ndarray, values) -> float:
    return _spread([values(rows).mean() for rows in draws])


def _spread(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values) / 2:
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(high - low) / 2
