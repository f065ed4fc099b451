"""Preference pairs: two samples of a policy to a prompt, labelled by the task's rater, or not yet.

A pair is a dict of `prompt`, `chosen`, `rejected`, whether each text ended by itself, and the gold
reward of each in nats; stored pairs also know what the reference makes of them. Before it has a
label its texts are `first` and `second`.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.messages import plain
from align_core.data.encoding import encode, encode_pairs, encode_prompts
from align_core.data.preference_files import Covers, everything
from align_core.models.loading import ModelError
from align_core.models.logprobs import logprobs
from align_core.models.rewards import ProxyReward
from align_core.models.sampling import RandomDraw, sample
from align_core.tasks import Task

BATCH = 128
_PARTS = ("", "_ended", "_reward")  # what is known of each text of a pair


def sampled_pairs(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    count: int,
    seed: int,
    covers: Covers = everything,
    progress: Callable[[int], None] = lambda done: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> list[dict]:
    """`count` pairs of two different samples of the policy to the same train prompt it `covers`.

    Fewer once `interrupted()` is true. Raises ModelError where the policy says one thing only.
    """
    rng = random.Random(seed)
    wanted = [prompt for prompt in task.prompts("train") if covers(prompt)]
    pairs: list[dict] = []
    for batch in _drawn(policy, tokenizer, task, wanted, rng, seed):
        pairs += [_labelled(pair, task, rng) for pair in batch]
        progress(min(len(pairs), count))
        if len(pairs) >= count or interrupted():
            break
    return pairs[:count]


def unlabelled_pairs(
    policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, task: Task, count: int, seed: int
) -> list[dict]:
    """`count` pairs as `sampled_pairs` draws them, for people to label.

    Raises ModelError where the policy says one thing only.
    """
    prompts = task.prompts("train")
    batches = _drawn(policy, tokenizer, task, prompts, random.Random(seed), seed)
    return list(itertools.islice((pair for batch in batches for pair in batch), count))


def scored_pairs(
    pairs: Sequence[dict], proxy: ProxyReward, tokenizer: PreTrainedTokenizerBase
) -> list[dict]:
    """The pairs with `first_score` and `second_score`: what a reward model makes of each text."""
    prompts = [pair["prompt"] for pair in pairs]
    found = {}
    for side in ("first", "second"):
        ids = [encode(tokenizer, p["prompt"], p[side], p[f"{side}_ended"])[1] for p in pairs]
        found[f"{side}_score"] = proxy(prompts, [p[side] for p in pairs], completion_ids=ids)
    return [
        {**pair, "first_score": first, "second_score": second}
        for pair, first, second in zip(pairs, *found.values(), strict=True)
    ]


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
        logps = logprobs(reference, prompts, encoded[f"{side}_ids"])
        for pair, logp in zip(found, logps, strict=True):
            pair[f"ref_{side}_logps"] = logp.sum().item()
    return found


def with_label_noise(pairs: list[dict], share: float, seed: int) -> list[dict]:
    """The pairs with this share of the labels flipped, on top of the rater's own doubt."""
    rng = random.Random(seed)
    flipped = set(rng.sample(range(len(pairs)), round(share * len(pairs))))
    return [_swapped(pair) if row in flipped else pair for row, pair in enumerate(pairs)]


def _drawn(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    wanted: Sequence[str],
    rng: random.Random,
    seed: int,
) -> Iterator[list[dict]]:
    """Pairs without a label, batch after batch; the first batch has one, or it is a ModelError."""
    for batch in itertools.count():
        prompts = rng.choices(wanted, k=BATCH)
        responses = sample(
            policy,
            encode_prompts(tokenizer, prompts).repeat(2),
            RandomDraw(seed * 1_000_003 + batch, 2 * BATCH),
            max_new_tokens=task.max_new_tokens,
            end_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
        )
        texts = tokenizer.batch_decode(responses.ids(), skip_special_tokens=True)
        ended = responses.ended.tolist()
        rewards = task.reward([p for p in prompts for _ in range(2)], texts, ended=ended)
        found = []
        for row, prompt in enumerate(prompts):
            two = {
                side: (texts[i], ended[i], rewards[i])
                for side, i in (("first", 2 * row), ("second", 2 * row + 1))
                if texts[i].strip()
            }
            if len(two) == 2 and two["first"][0] != two["second"][0]:
                found.append(_pair(prompt, two))
        if batch == 0 and not found:
            line = "the model has but one thing to say to each prompt: no pair to label"
            raise ModelError(plain(line))
        yield found


def _pair(prompt: str, two: dict[str, tuple[str, bool, float]]) -> dict:
    return {"prompt": prompt} | {
        side + part: text[column]
        for column, part in enumerate(_PARTS)
        for side, text in two.items()
    }


def _labelled(pair: dict, task: Task, rng: random.Random) -> dict:
    sides = "first", "second"
    if not task.prefers(pair["first_reward"], pair["second_reward"], rng):
        sides = "second", "first"
    return {"prompt": pair["prompt"]} | {
        label + part: pair[side + part]
        for part in _PARTS
        for label, side in zip(("chosen", "rejected"), sides, strict=True)
    }


def _swapped(pair: dict) -> dict:
    other = {"chosen": "rejected", "rejected": "chosen"}
    return {
        "_".join(other.get(part, part) for part in name.split("_")): value
        for name, value in pair.items()
    }
