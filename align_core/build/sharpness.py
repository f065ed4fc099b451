"""How the embedded references are sharpened, and what that changes.

A small model gives a little probability to every broken word, which at temperature 1 adds up to
many broken texts. So the logits of each fine-tuned model are multiplied by SHARPNESS: at
temperature 1 it writes as SFT's own model would at 1 / SHARPNESS = 0.8. The reference of a task is
always the sharpened model, not the model that SFT learnt.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.model_index import SHARPNESS
from align_core.data.encoding import encode_all, encode_prompts
from align_core.evaluation.evaluator import Evaluation, Evaluator
from align_core.models.loading import load_policy
from align_core.models.logprobs import logprobs
from align_core.models.rewards import for_samples
from align_core.models.sampling import end_ids
from align_core.tasks.grammar_task import GrammarTask

DEMONSTRATIONS = 512  # demonstrations that the model was not trained on
DEMONSTRATION_SEED = 1  # training uses seed 0


def sharpen(model: PreTrainedModel, factor: float = SHARPNESS) -> PreTrainedModel:
    """Multiply the logits by scaling the weight of the last norm; returns the model."""
    with torch.no_grad():
        model.base_model.norm.weight.mul_(factor)
    return model


def unsharpened(task: GrammarTask) -> PreTrainedModel:
    """What SFT learnt: the task's reference with its logits divided by SHARPNESS."""
    return sharpen(load_policy(task.reference), 1 / SHARPNESS)


def effect(task: GrammarTask, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """What sharpening changes, on the held-out prompts with 4 texts each.

    Returns, for the "sft" model and for the "reference", the mean `gold` reward, the `entropy` of
    a text and the `cost`, −log π, of a new demonstration, all in nats, and the share of `whole`
    texts, which end and parse; for the "pretrained" model only the cost; and `kl`,
    KL(reference ‖ SFT), in nats.
    """
    sft, reference = unsharpened(task), load_policy(task.reference)
    evaluator = Evaluator(
        task.prompts("heldout"),
        tokenizer,
        sft,
        gold=for_samples(task.reward, end_ids(sft, tokenizer)),
        proxy=None,
        stored=None,
        max_new_tokens=task.max_new_tokens,
        seed=0,
    )
    models = {"sft": sft, "reference": reference}
    evaluations = {name: evaluator(model) for name, model in models.items()}
    costs = {
        name: _cost(task, model, tokenizer)
        for name, model in {"pretrained": load_policy("pretrained"), **models}.items()
    }
    return {
        "pretrained": {"cost": costs["pretrained"]},
        **{
            name: {
                "gold": evaluation.policy.gold.mean().item(),
                "entropy": evaluation.entropy.mean().item(),
                "whole": _whole(task, evaluation, tokenizer),
                "cost": costs[name],
            }
            for name, evaluation in evaluations.items()
        },
        "kl": evaluations["reference"].kl.mean().item(),
    }


def _whole(task: GrammarTask, evaluation: Evaluation, tokenizer: PreTrainedTokenizerBase) -> float:
    """The share of the policy's texts that end by themselves and parse."""
    texts = evaluation.policy
    columns = zip(texts.prompts, texts.completions, texts.completion_ids, strict=True)
    return float(
        np.mean(
            [
                ids[-1] == tokenizer.eos_token_id and task.parses(prompt, completion)
                for prompt, completion, ids in columns
            ]
        )
    )


@torch.no_grad()
def _cost(task: GrammarTask, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> float:
    """The mean of −log π of the completions of new demonstrations, in nats."""
    demonstrations = task.demonstrations(DEMONSTRATIONS, DEMONSTRATION_SEED)
    prompts = [row["prompt"] for row in demonstrations]
    completions = [row["completion"] for row in demonstrations]
    ids = encode_all(tokenizer, prompts, completions, [True] * len(demonstrations))[1]
    logps = logprobs(model, encode_prompts(tokenizer, prompts), ids)
    return -float(np.mean([logp.sum().item() for logp in logps]))
