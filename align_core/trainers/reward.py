"""The reward model: Bradley-Terry on preference pairs, a scalar head on a trunk."""

from __future__ import annotations

from os.path import commonprefix
from typing import Any

from datasets import Dataset
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import RewardConfig, RewardTrainer

from align_core.models.loading import freeze_trunk
from align_core.models.lora import lora_config
from align_core.trainers.common import (
    QUIET,
    FiniteTraining,
    LengthBatches,
    Setup,
    ShardedTraining,
)
from align_core.trainers.examples import KeptOutput, ShownExamples, first_rows, pair


class BradleyTerryTrainer(
    LengthBatches, ShardedTraining, FiniteTraining, ShownExamples, RewardTrainer
):
    """TRL's RewardTrainer; its loss is −log σ(r_chosen − r_rejected) (arXiv 2305.18290, Eq. 2)."""

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kw: Any) -> Any:
        """TRL's loss; then the first pair of the batch is shown."""
        kept = KeptOutput(model)
        loss = super().compute_loss(kept, inputs, *args, **kw)
        self.show(lambda: self._pair(inputs, kept.output.logits.detach()[:, 0]))
        return loss

    def _pair(self, inputs: dict[str, Any], scores: Tensor) -> dict[str, Any]:
        """The first pair; its prompt is the tokens with which both texts begin."""
        chosen, rejected = first_rows(inputs["input_ids"], inputs["attention_mask"])
        prompt = commonprefix([chosen, rejected])
        texts = chosen[len(prompt) :], rejected[len(prompt) :]
        return pair(self.processing_class, prompt, *texts, scores[:: len(scores) // 2])


def build(setup: Setup) -> BradleyTerryTrainer:
    """The reward model trainer of a run; with `freeze_trunk` only the scalar head is trained."""
    if setup.config.freeze_trunk:
        freeze_trunk(setup.model)
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
    pairs: Dataset,
    *,
    lora_r: int = 0,
    lora_layers: int | None = None,
    **arguments: Any,
) -> BradleyTerryTrainer:
    """A trainer on `pairs` with the columns of `encoding.encode_pairs`."""
    texts = pairs.map(_with_prompt, remove_columns="prompt_ids")
    return BradleyTerryTrainer(
        model,
        args=RewardConfig(**{**QUIET, "max_length": None, **arguments}),
        train_dataset=texts,
        processing_class=tokenizer,
        peft_config=lora_config(model, lora_r, "SEQ_CLS", lora_layers),
    )


def _with_prompt(pair: dict) -> dict:
    return {
        "chosen_ids": pair["prompt_ids"] + pair["chosen_ids"],
        "rejected_ids": pair["prompt_ids"] + pair["rejected_ids"],
    }
