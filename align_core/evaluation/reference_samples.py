"""Samples of a reference with their rewards, which give its optimum without any training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.data.encoding import Prompts, decode, encode_prompts
from align_core.data.formats import Text
from align_core.models.prompts import model_inputs
from align_core.models.rewards import Reward
from align_core.models.sampling import RandomDraw, Responses, end_ids, sample
from align_core.optimum import ReferenceSamples
from align_core.tasks import Task

# Parameters times texts that are sampled at once: 3,840 texts of an embedded model, 148 of one with
# 135 M parameters, whose cache of keys and values then takes 450 MB.
AT_ONCE = 2e10


def sample_reference(
    task: Task,
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[str],
    samples: int,
    seed: int,
) -> ReferenceSamples:
    """Sample `samples` texts of the policy for each prompt and compute their gold rewards."""
    return ReferenceSamples.joined(
        [
            sample_prompt(task, policy, tokenizer, prompt, samples, prompt_seed(seed, row))[0]
            for row, prompt in enumerate(prompts)
        ]
    )


def prompt_seed(seed: int, row: int) -> int:
    """The seed of the samples of prompt number `row`."""
    return seed * 1_000_003 + row


def sample_prompt(
    task: Task,
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    samples: int,
    seed: int,
    progress: Callable[[int], None] = lambda texts: None,
) -> tuple[ReferenceSamples, dict[str, float]]:
    """Sample `samples` texts of the policy for one prompt and compute their gold rewards.

    Returns the samples, and the mean of each part of the reward. `progress` gets the number of
    texts of each batch.
    """
    vocabulary = max(policy.config.vocab_size, tokenizer.pad_token_id + 1)
    tokens = np.full(
        (samples, task.max_new_tokens),
        tokenizer.pad_token_id,
        dtype=max(np.min_scalar_type(vocabulary), np.dtype(np.uint16)),
    )
    lengths = np.zeros(samples, max(np.min_scalar_type(task.max_new_tokens), np.dtype(np.uint8)))
    ended, rewards = np.zeros(samples, bool), np.zeros(samples)
    sums: dict[str, float] = {}
    encoded = encode_prompts(tokenizer, model_inputs(tokenizer, task, [prompt]))
    for first, batch in _batches(task, policy, tokenizer, encoded, samples, seed):
        rows = slice(first, first + len(batch.tokens))
        tokens[rows, : batch.tokens.shape[1]] = batch.tokens.numpy()
        lengths[rows], ended[rows] = batch.mask.sum(1).numpy(), batch.ended.numpy()
        texts = batch.texts(tokenizer, encoded.repeat(len(batch.tokens)))
        scored = [prompt] * len(texts), texts
        parts = task.parts(*scored, ended=batch.ended.tolist())
        for name, values in parts.items():
            sums[name] = sums.get(name, 0.0) + sum(values)
        rewards[rows] = (
            np.sum([*parts.values()], axis=0)
            if parts
            else task.reward(*scored, ended=batch.ended.tolist())
        )
        progress(len(texts))
    stored = ReferenceSamples([prompt], tokens[None], lengths[None], ended[None], rewards[None])
    return stored, {name: total / samples for name, total in sums.items()}


def _batches(
    task: Task,
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Prompts,
    samples: int,
    seed: int,
) -> Iterator[tuple[int, Responses]]:
    """Yields (number of the first text, texts) of the batches of `samples` texts for a prompt."""
    at_once = max(8, int(AT_ONCE / policy.num_parameters()))
    for first in range(0, samples, at_once):
        count = min(at_once, samples - first)
        yield (
            first,
            sample(
                policy,
                prompt.repeat(count),
                RandomDraw(seed, samples, first),
                max_new_tokens=task.max_new_tokens,
                end_ids=end_ids(policy, tokenizer),
                pad_id=tokenizer.pad_token_id,
            ),
        )


def stored_scores(
    proxy: Reward,
    writer: PreTrainedTokenizerBase,
    stored: ReferenceSamples,
    rows: list[tuple[int, int]],
    inputs: Sequence[Text] | None = None,
) -> Tensor:
    """The rewards [len(rows)], in nats, of the stored texts at `rows`: (prompt, sample) numbers.

    `writer` is the tokenizer of the stored token ids. `inputs` are the inputs of the models for the
    prompts, by default the prompts themselves.
    """
    inputs = stored.prompts if inputs is None else inputs
    ids = [stored.tokens[row][: stored.lengths[row]].tolist() for row in rows]
    prompts = [inputs[prompt] for prompt, _ in rows]
    before = encode_prompts(writer, prompts).ids.tolist()
    pairs = zip(rows, ids, strict=True)
    texts = decode(writer, before, [row[:-1] if stored.ended[at] else row for at, row in pairs])
    return torch.tensor(proxy(prompts, texts, completion_ids=ids), dtype=torch.float64)
