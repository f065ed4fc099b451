"""Supervised fine-tuning on demonstrations: maximise log π(completion | prompt)."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from align_core.models.lora import lora_config
from align_core.trainers.common import (
    QUIET,
    FiniteTraining,
    LengthBatches,
    Setup,
    ShardedTraining,
)
from align_core.trainers.examples import ShownExamples, demonstration


class SupervisedTrainer(LengthBatches, ShardedTraining, FiniteTraining, ShownExamples, SFTTrainer):
    """TRL's SFTTrainer; its cross-entropy is averaged over the completion's tokens."""

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kw: Any) -> Any:
        """TRL's loss, after the first row of the batch was shown."""
        self.show(lambda: self._demonstration(inputs))
        return super().compute_loss(model, inputs, *args, **kw)

    def _demonstration(self, inputs: dict[str, Any]) -> dict[str, Any]:
        real = inputs["attention_mask"][0].bool()
        ids, learnt = inputs["input_ids"][0][real], inputs["labels"][0][real] != -100
        return demonstration(self.processing_class, ids[~learnt].tolist(), ids[learnt].tolist())


def build(setup: Setup) -> SupervisedTrainer:
    """The SFT trainer of a run."""
    config = setup.config
    return make_trainer(
        setup.model,
        setup.tokenizer,
        setup.data,
        lora_r=config.lora_r,
        lora_layers=config.lora_layers,
        **setup.arguments,
    )


def make_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    demonstrations: Dataset,
    *,
    lora_r: int = 0,
    lora_layers: int | None = None,
    **arguments: Any,
) -> SupervisedTrainer:
    """A trainer on `demonstrations` with the columns of `encoding.encode_demonstrations`."""
    return SupervisedTrainer(
        model,
        args=SFTConfig(**{**QUIET, "max_length": None, **arguments}),
        train_dataset=demonstrations,
        processing_class=tokenizer,
        peft_config=lora_config(model, lora_r, "CAUSAL_LM", lora_layers),
    )
