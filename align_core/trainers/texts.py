"""Training on given texts, with a loss that depends on the log-probabilities of their tokens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from datasets import Dataset
from peft import get_peft_model
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainingArguments

from align_core.data.encoding import encode_prompts
from align_core.models.logprobs import logprobs
from align_core.models.lora import lora_config
from align_core.models.reference import as_reference
from align_core.trainers.common import (
    QUIET,
    WARMUP,
    FiniteTraining,
    LengthBatches,
    Setup,
    ShardedTraining,
)
from align_core.trainers.examples import ShownExamples, pair


class TextTrainer(LengthBatches, ShardedTraining, FiniteTraining, ShownExamples, Trainer):
    """A Trainer on rows of token ids. Subclasses define `compute_loss`, whose `inputs` have the
    batch as "rows"."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: Dataset,
        *,
        lora_r: int = 0,
        lora_layers: int | None = None,
        **arguments: Any,
    ) -> None:
        adapter = lora_config(model, lora_r, "CAUSAL_LM", lora_layers)
        super().__init__(
            model if adapter is None else get_peft_model(model, adapter),
            TrainingArguments(**{**QUIET, **arguments}),
            data_collator=lambda rows: {"rows": rows},
            train_dataset=rows,
            processing_class=tokenizer,
        )
        self.model_accepts_loss_kwargs = False
        self._recorded: dict[str, list[float]] = defaultdict(list)

    def token_logps(
        self, model: PreTrainedModel, rows: Sequence[Mapping], completions: Sequence[list[int]]
    ) -> list[Tensor]:
        """Log-probabilities, in nats, of the tokens of a completion of each row's prompt."""
        prompts = encode_prompts(self.processing_class, [row["prompt_ids"] for row in rows])
        return logprobs(model, prompts, completions)

    def sequence_logps(
        self, model: PreTrainedModel, rows: Sequence[Mapping], completions: Sequence[list[int]]
    ) -> Tensor:
        """log π [B] of a completion of each row's prompt, in nats."""
        return sums(self.token_logps(model, rows, completions))

    def show_pair(self, rows: Sequence[Mapping], scores: Tensor | None = None) -> None:
        """Show the first of these pairs, whose texts have these scores [2], if any, in nats."""
        prompt, chosen, rejected = (rows[0][f"{s}_ids"] for s in ("prompt", "chosen", "rejected"))
        self.show(lambda: pair(self.processing_class, prompt, chosen, rejected, scores))

    def record(self, **metrics: Tensor) -> None:
        """Log the means of these metrics with the step; an empty one is left out."""
        for name, values in metrics.items():
            if values.numel():
                self._recorded[name].append(values.detach().float().mean().item())

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        means = {name: sum(values) / len(values) for name, values in self._recorded.items()}
        self._recorded.clear()
        super().log({**logs, **means}, start_time)


class ReferenceTrainer(TextTrainer):
    """A TextTrainer whose loss compares the policy with a reference.

    With LoRA, `reference` is None: the reference is the policy with its adapter disabled. `beta`
    may change during the training.
    """

    def __init__(
        self, *args: Any, reference: PreTrainedModel | None, beta: float, **arguments: Any
    ) -> None:
        super().__init__(*args, **arguments)
        self.beta = beta
        self.reference = reference if reference is None else reference.to(self.args.device)

    def log_ratios(
        self, model: Any, rows: Sequence[Mapping], completions: Sequence[list[int]]
    ) -> Tensor:
        """log(π/π_ref) [B] of completions of the rows' prompts, in nats."""
        logps = self.sequence_logps(model, rows, completions)
        policy = self.accelerator.unwrap_model(model)
        ref_model, reference_mode = as_reference(policy, self.reference)
        with torch.no_grad(), reference_mode:
            ref_logps = self.sequence_logps(ref_model, rows, completions)
        return logps - ref_logps

    def record_rewards(self, chosen: Tensor, rejected: Tensor) -> None:
        """Log β·log(π/π_ref) of chosen and of rejected texts, from their log-ratios, and the
        margin between the two means."""
        chosen, rejected = self.beta * chosen, self.beta * rejected
        self.record(**{"rewards/chosen": chosen, "rewards/rejected": rejected})
        if len(chosen) and len(rejected):
            self.record(**{"rewards/margins": chosen.mean() - rejected.mean()})


class PairTrainer(TextTrainer):
    """A trainer on pairs of token ids, as from `encoding.encode_pairs`, without a reference."""

    def compute_loss(self, model: Any, inputs: dict[str, list[dict]], *_: Any, **__: Any) -> Tensor:
        """The mean loss of a batch of pairs."""
        rows = inputs["rows"]
        chosen, rejected = (
            self.token_logps(model, rows, [row[f"{side}_ids"] for row in rows])
            for side in ("chosen", "rejected")
        )
        self.record(**{"logps/chosen": sums(chosen), "logps/rejected": sums(rejected)})
        self.record(**{"rewards/accuracies": means(chosen) > means(rejected)})
        self.show_pair(rows)
        return self.losses(chosen, rejected).mean()

    def losses(self, chosen: list[Tensor], rejected: list[Tensor]) -> Tensor:
        """The loss of each pair [B], from the log-probabilities of the tokens of its texts."""
        raise NotImplementedError


def sums(logps: list[Tensor]) -> Tensor:
    """log π [B] of texts, in nats."""
    return torch.stack([logp.sum() for logp in logps])


def means(logps: list[Tensor]) -> Tensor:
    """The mean log-probability of a token [B] of texts, in nats."""
    return torch.stack([logp.mean() for logp in logps])


def make_trainer(trainer_class: Any, setup: Setup, **settings: Any) -> Any:
    """A trainer of this class for a run."""
    config = setup.config
    return trainer_class(
        setup.model,
        setup.tokenizer,
        setup.data,
        lora_r=config.lora_r,
        lora_layers=config.lora_layers,
        warmup_steps=config.steps // WARMUP,
        **settings,
        **setup.arguments,
    )
