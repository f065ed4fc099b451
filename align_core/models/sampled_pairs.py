"""Preference pairs: two samples of a policy for a prompt, with or without the rater's label.

A labelled pair is a dict with `prompt`, `chosen`, `rejected`, and for both texts `…_ended` (whether
it ended by itself) and `…_reward` (gold, in nats); stored pairs also have the reference's
log-probabilities. The texts of an unlabelled pair are `first` and `second`.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.messages import plain
from align_core.data.encoding import encode_pairs, encode_prompts
from align_core.data.formats import Text
from align_core.data.preference_files import Covers, covers_all
from align_core.models.loading import ModelError
from align_core.models.logprobs import logprobs
from align_core.models.prompts import model_inputs
from align_core.models.rewards import ProxyReward
from align_core.models.sampling import RandomDraw, end_ids, sample
from align_core.tasks import Task

BATCH = 256  # texts sampled at a time
Sample = tuple[str, bool, float]  # a text, whether it ended, and its gold reward in nats
_PARTS = ("", "_ended", "_reward")  # suffixes of the keys of each text of a pair


def sampled_pairs(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    count: int,
    seed: int,
    covers: Covers = covers_all,
    progress: Callable[[int], None] = lambda done: None,
    interrupted: Callable[[], bool] = lambda: False,
    candidates: int = 2,
) -> list[dict]:
    """`count` labelled pairs of different samples, for the train prompts that `covers` accepts.

    The two texts have the lowest and the highest gold reward of `candidates` samples for a prompt.
    Returns fewer pairs if `interrupted()` becomes true. `progress` gets the number of pairs so far.

    Raises:
        ModelError: in the first batch, all samples of each prompt are the same text.
    """
    rng = random.Random(seed)
    covered = [prompt for prompt in task.prompts("train") if covers(prompt)]
    pairs: list[dict] = []
    for batch in _batches(policy, tokenizer, task, covered, rng, seed, candidates):
        pairs += [_labelled(pair, task, rng) for pair in batch]
        progress(min(len(pairs), count))
        if len(pairs) >= count or interrupted():
            break
    return pairs[:count]


def unlabelled_pairs(
    policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, task: Task, count: int, seed: int
) -> list[dict]:
    """`count` pairs as `sampled_pairs` draws them, but unlabelled, for people to rate.

    Raises:
        ModelError: in the first batch, both samples of each prompt are the same text.
    """
    prompts = task.prompts("train")
    batches = _batches(policy, tokenizer, task, prompts, random.Random(seed), seed)
    return list(itertools.islice((pair for batch in batches for pair in batch), count))


def scored_pairs(pairs: Sequence[dict], inputs: Sequence[Text], proxy: ProxyReward) -> list[dict]:
    """The pairs with `first_score` and `second_score`, a reward model's outputs in nats.

    `inputs` are the inputs of the reward model for the prompts.
    """
    scores = [
        proxy.score_texts(inputs, [p[side] for p in pairs], [p[f"{side}_ended"] for p in pairs])
        for side in ("first", "second")
    ]
    return [
        {**pair, "first_score": first, "second_score": second}
        for pair, first, second in zip(pairs, *scores, strict=True)
    ]


@torch.no_grad()
def with_reference_logps(
    pairs: list[dict], reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> list[dict]:
    """The pairs with `ref_chosen_logps` and `ref_rejected_logps`, TRL's names for the reference's
    log-probabilities of the texts, in nats. DPO on such pairs needs no reference model."""
    encoded = encode_pairs(tokenizer, pairs)
    prompts = encode_prompts(tokenizer, encoded["prompt_ids"][:])
    extended = [dict(pair) for pair in pairs]
    for side in ("chosen", "rejected"):
        logps = logprobs(reference, prompts, encoded[f"{side}_ids"])
        for pair, logp in zip(extended, logps, strict=True):
            pair[f"ref_{side}_logps"] = logp.sum().item()
    return extended


def with_label_noise(rows: list[dict], share: float, seed: int) -> list[dict]:
    """The pairs or ratings with this share of their labels flipped, on top of the rater's noise."""
    rng = random.Random(seed)
    flipped = set(rng.sample(range(len(rows)), round(share * len(rows))))
    return [_flipped(row) if number in flipped else row for number, row in enumerate(rows)]


def _flipped(row: dict) -> dict:
    return {**row, "label": not row["label"]} if "label" in row else _swapped(row)


def _batches(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    prompts: Sequence[str],
    rng: random.Random,
    seed: int,
    candidates: int = 2,
) -> Iterator[list[dict]]:
    """Yields batches of unlabelled pairs; raises ModelError if the first batch is empty."""
    for batch in itertools.count():
        drawn = rng.choices(prompts, k=BATCH // candidates)
        encoded = encode_prompts(tokenizer, model_inputs(tokenizer, task, drawn))
        encoded = encoded.repeat(candidates)
        responses = sample(
            policy,
            encoded,
            RandomDraw(seed * 1_000_003 + batch, len(drawn) * candidates),
            max_new_tokens=task.max_new_tokens,
            end_ids=end_ids(policy, tokenizer),
            pad_id=tokenizer.pad_token_id,
        )
        texts = responses.texts(tokenizer, encoded)
        ended = responses.ended.tolist()
        rewards = task.reward([p for p in drawn for _ in range(candidates)], texts, ended=ended)
        rows = list(zip(texts, ended, rewards, strict=True))
        pairs = []
        for index, prompt in enumerate(drawn):
            extremes = furthest_apart(rows[index * candidates : (index + 1) * candidates])
            if extremes is not None:
                pairs.append(_pair(prompt, extremes))
        if batch == 0 and not pairs:
            line = "the model always gives a prompt the same response, so no pair can be labelled"
            raise ModelError(plain(line))
        yield pairs


def furthest_apart(samples: Sequence[Sample]) -> tuple[Sample, Sample] | None:
    """The samples of the lowest and the highest reward, in the order in which they were drawn.

    Empty texts do not count. None if fewer than two are left, or if both are the same text.
    """
    written = [row for row in samples if row[0].strip()]
    by_reward = sorted(range(len(written)), key=lambda index: written[index][2])
    if len(written) < 2 or written[by_reward[0]][0] == written[by_reward[-1]][0]:
        return None
    first, second = sorted((by_reward[0], by_reward[-1]))
    return written[first], written[second]


def _pair(prompt: str, texts: tuple[Sample, Sample]) -> dict:
    return {"prompt": prompt} | {
        side + part: text[column]
        for column, part in enumerate(_PARTS)
        for side, text in zip(("first", "second"), texts, strict=True)
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
