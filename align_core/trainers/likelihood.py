"""Baselines of DPO: likelihood of the chosen texts, and unlikelihood of the rejected ones.

Preferred-FT and unlikelihood of arXiv 2305.18290, section 6. Neither uses a reference.
"""

from __future__ import annotations

from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainingArguments

from align_core.data.encoding import encode_prompts
from align_core.models.logprobs import logprobs
from align_core.objectives import likelihood_loss
from align_core.trainers.common import QUIET, FiniteTraining, LengthBatches

SIDES = "chosen_ids", "rejected_ids"


class LikelihoodTrainer(LengthBatches, FiniteTraining, Trainer):
    """Trainer on pairs of token ids; the loss is the mean over pairs of sums over tokens."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, alpha: float, **rest: Any
    ) -> None:
        super().__init__(model, data_collator=lambda rows: {"pairs": rows}, **rest)
        self._tokenizer, self._alpha = tokenizer, alpha

    def compute_loss(
        self, model: PreTrainedModel, inputs: dict[str, list[dict]], *_: Any, **__: Any
    ) -> Tensor:
        chosen, rejected = (self._logp(model, inputs["pairs"], side) for side in SIDES)
        return likelihood_loss(chosen, rejected, self._alpha).mean()

    def _logp(self, model: PreTrainedModel, pairs: list[dict], side: str) -> Tensor:
        """log π [B], in nats, of the chosen or rejected text of each pair."""
        prompts = encode_prompts(self._tokenizer, [pair["prompt_ids"] for pair in pairs])
        logps = logprobs(model, prompts, [pair[side] for pair in pairs])
        return torch.stack([logp.sum() for logp in logps])


def make_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Dataset,
    *,
    alpha: float,
    **arguments: Any,
) -> LikelihoodTrainer:
    """A trainer on `pairs` with the columns of `encoding.encode_pairs`; α weights unlikelihood."""
    return LikelihoodTrainer(
        model,
        tokenizer,
        alpha,
        args=TrainingArguments(**{**QUIET, **arguments}),
        train_dataset=pairs,
    )
