"""Direct preference optimisation (arXiv 2305.18290): no reward model, no sampling while it trains.

It compares log-probabilities of the given chosen and rejected texts, under policy and reference;
no divergence between outputs enters the loss.
"""

from __future__ import annotations

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import DPOConfig, DPOTrainer

from align_core.data.encoding import REFERENCE_LOGPS
from align_core.models.loading import lora
from align_core.trainers.common import (
    QUIET,
    WARMUP,
    FiniteTraining,
    LengthBatches,
    Setup,
    ShardedTraining,
)


class DirectPreferenceTrainer(LengthBatches, ShardedTraining, FiniteTraining, DPOTrainer):
    """TRL's DPOTrainer on pairs that are token ids already, and may know the reference's part."""

    def _prepare_dataset(self, dataset: Dataset, *_) -> Dataset:
        # TRL would append the end token to every text; a text that was cut must stay unended.
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, *_) -> Dataset:
        # They came with the pairs: `build` asks for precomputed ones only then.
        return dataset


def build(setup: Setup) -> DirectPreferenceTrainer:
    """The trainer of a run."""
    config = setup.config
    return make_trainer(
        setup.model,
        setup.reference,
        setup.tokenizer,
        setup.data,
        beta=config.beta,
        lora_r=config.lora_r,
        warmup_steps=config.steps // WARMUP,
        **setup.arguments,
    )


def make_trainer(
    model: PreTrainedModel,
    reference: PreTrainedModel | None,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Dataset,
    *,
    beta: float,
    lora_r: int = 0,
    **arguments,
) -> DirectPreferenceTrainer:
    """`pairs` has the columns of `encoding.encode_pairs`.

    `reference` is None with LoRA: the adapter switched off. It is not asked where the pairs know
    its log-probabilities.
    """
    known = all(name in pairs.column_names for name in REFERENCE_LOGPS)
    own = {"max_length": None, "beta": beta, "precompute_ref_log_probs": known}
    return DirectPreferenceTrainer(
        model,
        ref_model=reference,
        args=DPOConfig(**{**QUIET, **own, **arguments}),
        train_dataset=pairs,
        processing_class=tokenizer,
        peft_config=lora(lora_r, "CAUSAL_LM"),
    )
