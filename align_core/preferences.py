"""Preference pairs: a policy's own samples, labelled by the task's rater, stored or made on demand.

A pair is a dict of `prompt`, `chosen`, `rejected`, whether each text ended by itself, and the gold
reward of each in nats; stored pairs also know what the reference makes of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pyarrow.parquet
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.catalogue import preference_pool
from align_core.configs import ConfigError, complaint
from align_core.encoding import encode_pairs, encode_prompts, pad_responses
from align_core.models import ModelError
from align_core.objectives import token_logprobs
from align_core.sampling import RandomDraw, by_length, response_outputs, sample
from align_core.tasks import Task

BATCH = 128


def stored_pairs(task: str, count: int, seed: int) -> list[dict]:
    """`count` pairs of the embedded SFT model's samples, chosen and ordered by the seed.

    Raises ConfigError where the pool is smaller.
    """
    pool = pyarrow.parquet.read_table(preference_pool(task)).to_pylist()
    if count > len(pool):
        takes = f"at most the {len(pool)} stored pairs of {task}"
        raise ConfigError(complaint("--preference-pairs", count, takes))
    return random.Random(seed).sample(pool, count)


def sampled_pairs(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    count: int,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> list[dict]:
    """`count` pairs of two different samples of the policy to the same train prompt.

    Fewer once `interrupted()` is true. Raises ModelError where the policy says one thing only.
    """
    rng = random.Random(seed)
    pairs: list[dict] = []
    batch = 0
    while len(pairs) < count:
        prompts = rng.choices(task.prompts("train"), k=BATCH)
        responses = sample(
            policy,
            encode_prompts(tokenizer, prompts).repeat(2),
            RandomDraw(seed * 1_000_003 + batch, 2 * BATCH),
            max_new_tokens=task.max_new_tokens,
            end_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
        )
        batch += 1
        texts = tokenizer.batch_decode(responses.ids(), skip_special_tokens=True)
        ended = responses.ended.tolist()
        rewards = task.reward([p for p in prompts for _ in range(2)], texts, ended=ended)
        for row, prompt in enumerate(prompts):
            two = [
                (texts[i], ended[i], rewards[i]) for i in (2 * row, 2 * row + 1) if texts[i].strip()
            ]
            if len(two) == 2 and two[0][0] != two[1][0]:
                pairs.append(_labelled(prompt, *two, task, rng))
        if not pairs:
            raise ModelError("the model has but one thing to say to each prompt: no pair to label")
        progress(min(len(pairs), count))
        if interrupted():
            break
    return pairs[:count]


@torch.no_grad()
def with_reference_logps(
    pairs: list[dict], reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> list[dict]:
    """The pairs with `ref_chosen_logps` and `ref_rejected_logps`, as TRL names the reference's
    log-probability of each text, in nats: DPO on them asks the reference nothing."""
    encoded = encode_pairs(tokenizer, pairs)
    prompts = encode_prompts(tokenizer, [pair["prompt"] for pair in pairs])
    found = [dict(pair) for pair in pairs]
    for side in ("chosen", "rejected"):
        tokens, mask = pad_responses(encoded[f"{side}_ids"], tokenizer.pad_token_id)
        for rows in by_length(mask):
            width = int(mask[rows].sum(1).max())
            part = tokens[rows, :width], mask[rows, :width]
            logits, _ = response_outputs(reference, prompts[rows], *part)
            logp = (token_logprobs(logits, part[0]) * part[1]).sum(1)
            for row, value in zip(rows.tolist(), logp.tolist(), strict=True):
                found[row][f"ref_{side}_logps"] = value
    return found


def with_label_noise(pairs: list[dict], share: float, seed: int) -> list[dict]:
    """The pairs with this share of the labels flipped, on top of the rater's own doubt."""
    rng = random.Random(seed)
    flipped = set(rng.sample(range(len(pairs)), round(share * len(pairs))))
    return [_swapped(pair) if row in flipped else pair for row, pair in enumerate(pairs)]


def _labelled(prompt: str, first: tuple, second: tuple, task: Task, rng: random.Random) -> dict:
    prefers_first = task.prefers(first[2], second[2], rng)
    chosen, rejected = (first, second) if prefers_first else (second, first)
    return {
        "prompt": prompt,
        "chosen": chosen[0],
        "rejected": rejected[0],
        "chosen_ended": chosen[1],
        "rejected_ended": rejected[1],
        "chosen_reward": chosen[2],
        "rejected_reward": rejected[2],
    }


def _swapped(pair: dict) -> dict:
    other = {"chosen": "rejected", "rejected": "chosen"}
    return {
        "_".join(other.get(part, part) for part in name.split("_")): value
        for name, value in pair.items()
    }
