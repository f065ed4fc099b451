"""The runs of likelihood displacement: DPO on a few pairs, and the texts that gain probability."""

from __future__ import annotations

import math
import random
import tempfile
from collections import defaultdict
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from align_core.config.run_config import resolve
from align_core.config.task_card import known_reference
from align_core.data.encoding import encode_all, encode_pairs, encode_prompts, pad_responses
from align_core.data.preference_files import stored_pairs
from align_core.models.libraries import silence_libraries
from align_core.models.loading import load_policy, load_tokenizer, load_trainable
from align_core.models.logprobs import length_batches, logprobs, response_outputs
from align_core.models.sampling import FixedDraw, end_ids, sample
from align_core.tasks import load_task
from align_core.trainers import dpo
from align_core.trainers.common import WARMUP

SIDES = ("chosen", "rejected")
POOL = 16_000  # stored pairs, from which one for each prompt is selected
CLASSES = (*SIDES, "right", "wrong")  # the texts of the pair, and others by their gold reward
_COLUMNS = ("text", "before", "after", "gold")  # a text, its probabilities, and its gold reward


def measure(
    task: str,
    kind: str,
    *,
    seed: int,
    pairs: int,
    beta: float,
    epochs: int,
    every: int,
    samples: int,
    prompts: int,
) -> dict[str, Any]:
    """Train DPO on pairs of one `kind`: their two texts are "similar" or "different".

    curve:     points [step, change of the chosen text's log-probability, of the rejected one's],
               means over the pairs in nats
    fell:      the share of pairs whose chosen text lost probability
    prompts:   for the first `prompts` of the pairs, their texts and the one that gained most
    mass:      {one of CLASSES: [probability under the reference, under the policy]}, of all texts
               of the class together; means over these prompts
    """
    silence_libraries()
    reference = known_reference(task)
    tokenizer, before, policy = (
        load(reference) for load in (load_tokenizer, load_policy, load_trainable)
    )
    torch.manual_seed(seed)
    chosen = selected_pairs(before, tokenizer, task, kind, pairs, seed)
    encoded = encode_pairs(tokenizer, chosen)
    start = _pair_logps(before, tokenizer, encoded)
    curve = [[0, 0.0, 0.0]]

    class CurveCallback(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step % every == 0 or state.global_step == state.max_steps:
                change = (_pair_logps(policy, tokenizer, encoded) - start).mean(1)
                curve.append([state.global_step, *change.tolist()])

    config = resolve("dpo", task)
    steps = epochs * math.ceil(pairs / config.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        trainer = dpo.make_trainer(
            policy,
            before,
            tokenizer,
            encoded,
            beta=beta,
            output_dir=folder,
            max_steps=steps,
            learning_rate=config.learning_rate,
            per_device_train_batch_size=config.batch_size,
            warmup_steps=steps // WARMUP,
            seed=seed,
        )
        trainer.add_callback(CurveCallback())
        trainer.train()
    change = _pair_logps(policy.eval(), tokenizer, encoded) - start
    gained = texts_that_gain(task, before, policy, tokenizer, chosen[:prompts], samples, seed)
    return {"curve": curve, "fell": (change[0] < 0).double().mean().item(), **gained}


def selected_pairs(
    reference: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: str,
    kind: str,
    count: int,
    seed: int,
) -> list[dict[str, Any]]:
    """`count` stored pairs, one for each prompt, by their CHES score under the reference: the
    highest ones for "similar" texts, the lowest ones for "different" texts, in random order."""
    first = {pair["prompt"]: pair for pair in reversed(stored_pairs(task, POOL, seed))}
    pairs = [pair for pair in first.values() if pair["chosen"] != pair["rejected"]]
    encoded = encode_pairs(tokenizer, pairs)
    states = [_mean_states(reference, tokenizer, encoded, side) for side in SIDES]
    scores = ches(*states).tolist()
    order = sorted(range(len(pairs)), key=lambda index: scores[index])
    selected = order[-count:] if kind == "similar" else order[:count]
    random.Random(seed).shuffle(selected)
    return [pairs[index] for index in selected]


def ches(chosen: Tensor, rejected: Tensor) -> Tensor:
    """The centred hidden embedding similarity of pairs [B] (arXiv 2410.08847, Definition 2).

    The arguments are the means [B, H] of the hidden states of each text, in place of their sums, as
    the paper does for long texts.
    """
    return (chosen * rejected).sum(1) - (chosen * chosen).sum(1)


@torch.no_grad()
def _mean_states(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, encoded: Dataset, side: str
) -> Tensor:
    """The mean [B, H] of the last hidden states that predict the tokens of these texts."""
    prompts = encode_prompts(tokenizer, encoded["prompt_ids"])
    tokens, mask = pad_responses(encoded[f"{side}_ids"], pad=0)
    means = torch.zeros(len(tokens), model.config.hidden_size)
    for rows in length_batches(prompts, mask):
        width = int(mask[rows].sum(1).max())
        real = mask[rows, :width]
        _, states = response_outputs(model, prompts[rows], tokens[rows, :width], real, hidden=True)
        assert states is not None
        means[rows] = (states * real[..., None]).sum(1) / real.sum(1, keepdim=True)
    return means


@torch.no_grad()
def _pair_logps(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, encoded: Dataset
) -> Tensor:
    """Log-probabilities [2, B] of the chosen and of the rejected texts, in nats."""
    prompts = encode_prompts(tokenizer, encoded["prompt_ids"])
    sides = [logprobs(model, prompts, encoded[f"{side}_ids"]) for side in SIDES]
    return torch.tensor([[row.sum().item() for row in side] for side in sides]).double()


@torch.no_grad()
def texts_that_gain(
    task_name: str,
    before: PreTrainedModel,
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: list[dict[str, Any]],
    samples: int,
    seed: int,
) -> dict[str, Any]:
    """The `prompts` and the `mass` of `measure`, on these pairs.

    The texts of a prompt are those of its stored pairs, which the reference wrote, and `samples`
    texts that the policy writes; their probabilities are exact.
    """
    task, prompts = load_task(task_name), [pair["prompt"] for pair in pairs]
    known: dict[str, set[tuple[str, bool]]] = defaultdict(set)
    for pair in stored_pairs(task_name, POOL, seed):
        known[pair["prompt"]] |= {(pair[side], pair[f"{side}_ended"]) for side in SIDES}
    rows = [(prompt, *text) for prompt in prompts for text in sorted(known[prompt])]
    before_ids, ids = encode_all(tokenizer, *zip(*rows, strict=True))
    texts = {
        (prompt, tuple(tokens)): (tokens_of_prompt, text, ended)
        for (prompt, text, ended), tokens_of_prompt, tokens in zip(
            rows, before_ids, ids, strict=True
        )
    }
    texts |= _sampled_texts(task, policy, tokenizer, prompts, samples, seed)
    inputs = encode_prompts(tokenizer, [prompt_ids for prompt_ids, _, _ in texts.values()])
    tokens = [list(ids) for _, ids in texts]
    old, new = (
        [row.sum().exp().item() for row in logprobs(model, inputs, tokens)]
        for model in (before, policy)
    )
    gold = task.reward(
        [prompt for prompt, _ in texts],
        [text for _, text, _ in texts.values()],
        ended=[ended for _, _, ended in texts.values()],
    )
    by_prompt: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (prompt, _), (_, text, _), *numbers in zip(
        texts, texts.values(), old, new, gold, strict=True
    ):
        by_prompt[prompt].append(dict(zip(_COLUMNS, (text, *numbers), strict=True)))
    mass: dict[str, list[float]] = {name: [0.0, 0.0] for name in CLASSES}
    examples = []
    for pair in pairs:
        candidates = by_prompt[pair["prompt"]]
        for candidate in candidates:
            for index, probability in enumerate((candidate["before"], candidate["after"])):
                mass[_class(candidate, pair)][index] += probability / len(pairs)
        gained = max(candidates, key=lambda text: text["after"] - text["before"])
        sides = {side: _find(candidates, pair[side]) for side in SIDES}
        examples.append({"prompt": pair["prompt"], **sides, "gained": gained})
    return {"prompts": examples, "mass": mass}


def _find(candidates: list[dict[str, Any]], text: str) -> dict[str, Any]:
    return next(candidate for candidate in candidates if candidate["text"] == text)


def _class(text: dict[str, Any], pair: dict[str, Any]) -> str:
    for side in SIDES:
        if text["text"] == pair[side]:
            return side
    return "right" if text["gold"] > 0 else "wrong"


def _sampled_texts(
    task: Any,
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[str],
    samples: int,
    seed: int,
) -> dict[tuple[str, tuple[int, ...]], tuple[list[int], str, bool]]:
    """{(prompt, token ids of a text): (token ids of the prompt, text, ended)} of texts that the
    policy samples."""
    encoded = encode_prompts(tokenizer, prompts).repeat(samples)
    width = policy.get_output_embeddings().weight.shape[0]
    responses = sample(
        policy,
        encoded,
        FixedDraw(seed, prompts, samples, task.max_new_tokens, width),
        max_new_tokens=task.max_new_tokens,
        end_ids=end_ids(policy, tokenizer),
        pad_id=tokenizer.pad_token_id,
    )
    rows = [prompt for prompt in prompts for _ in range(samples)]
    texts = responses.texts(tokenizer, encoded)
    return {
        (prompt, tuple(tokens)): (prompt_ids, text, ended)
        for prompt, tokens, prompt_ids, text, ended in zip(
            rows, responses.ids(), encoded.real(), texts, responses.ended.tolist(), strict=True
        )
    }
