"""Stored samples of a reference, which give its optimum and frontier without any training."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.model_index import reference_samples
from align_core.config.task_card import BUILT_IN, card
from align_core.data.encoding import encode_prompts
from align_core.models.rewards import Reward
from align_core.models.sampling import RandomDraw, end_ids, sample
from align_core.optimum import Frontier, ReferenceSamples
from align_core.tasks import Task


def stored_samples(task: str, split: str) -> ReferenceSamples | None:
    """The stored samples of the reference of a built-in task; None for any other task."""
    return ReferenceSamples.load(reference_samples(task, split)) if task in BUILT_IN else None


def frontier(task: str, reference: str, split: str, prompts: list[str]) -> Frontier | None:
    """The frontier of the task's reference on these prompts.

    None if `reference` is another model, or if no samples are stored.
    """
    stored = stored_samples(task, split) if reference == card(task).reference else None
    return stored and Frontier.of(stored.select(prompts).rewards)


def sample_reference(
    task: Task,
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[str],
    samples: int,
    seed: int,
) -> ReferenceSamples:
    """Sample `samples` texts of the policy for each prompt and compute their gold rewards."""
    shape = len(prompts), samples
    tokens = np.full((*shape, task.max_new_tokens), tokenizer.pad_token_id, dtype=np.uint16)
    lengths, ended = np.zeros(shape, np.uint8), np.zeros(shape, bool)
    rewards = np.zeros(shape)
    for row, prompt in enumerate(prompts):
        encoded = encode_prompts(tokenizer, [prompt]).repeat(samples)
        drawn = sample(
            policy,
            encoded,
            RandomDraw(seed * 1_000_003 + row, samples),
            max_new_tokens=task.max_new_tokens,
            end_ids=end_ids(policy, tokenizer),
            pad_id=tokenizer.pad_token_id,
        )
        tokens[row, :, : drawn.tokens.shape[1]] = drawn.tokens.numpy()
        lengths[row], ended[row] = drawn.mask.sum(1).numpy(), drawn.ended.numpy()
        texts = drawn.texts(tokenizer, encoded)
        rewards[row] = task.reward([prompt] * len(texts), texts, ended=drawn.ended.tolist())
    return ReferenceSamples(prompts, tokens, lengths, ended, rewards)


def stored_scores(
    proxy: Reward,
    tokenizer: PreTrainedTokenizerBase,
    stored: ReferenceSamples,
    rows: list[tuple[int, int]],
) -> Tensor:
    """The rewards [len(rows)], in nats, of the stored texts at these (prompt, sample)."""
    ids = [stored.tokens[row][: stored.lengths[row]].tolist() for row in rows]
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
    prompts = [stored.prompts[prompt] for prompt, _ in rows]
    return torch.tensor(proxy(prompts, texts, completion_ids=ids), dtype=torch.float64)
