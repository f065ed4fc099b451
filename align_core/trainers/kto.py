"""KTO: learning from single texts, each desirable or not (arXiv 2402.01306).

A text's reward β log(π/π_ref) is compared with z0, an estimate of β KL(π ‖ π_ref) from completions
of other prompts. TRL's KTOTrainer has the same loss, but tokenises texts itself: it would append
the end token to a text that was cut at the token limit.
"""

from __future__ import annotations

from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.models.reference import as_reference
from align_core.objectives import kto_loss
from align_core.trainers.common import Setup
from align_core.trainers.texts import TextTrainer, of_run


class KTOTrainer(TextTrainer):
    """A trainer on rows of `prompt_ids`, `completion_ids` and `label`, true if desirable.

    The rarer label weighs more, so that the texts of both weigh the same.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: Dataset,
        *,
        reference: PreTrainedModel | None,
        beta: float,
        **arguments: Any,
    ) -> None:
        super().__init__(model, tokenizer, rows, **arguments)
        self.beta = beta
        self.reference = reference if reference is None else reference.to(self.args.device)
        desirable = sum(rows["label"])
        share = desirable / max(1, len(rows) - desirable)
        self.weights = max(1.0, 1 / share), max(1.0, share)

    def compute_loss(self, model: Any, inputs: dict[str, list[dict]], *_: Any, **__: Any) -> Tensor:
        """The weighted mean loss of a batch, whose completions in turn give z0."""
        rows = inputs["rows"]
        ratios = self._log_ratios(model, rows, [row["completion_ids"] for row in rows])
        with torch.no_grad():
            turned = [row["completion_ids"] for row in rows[1:] + rows[:1]]
            kl = self._log_ratios(model, rows, turned).mean()
            kl = self.accelerator.reduce(kl, "mean").clamp(min=0)
        desirable = torch.tensor([row["label"] for row in rows], device=ratios.device)
        weights = torch.where(desirable, *self.weights)
        chosen, rejected = (self.beta * ratios[side] for side in (desirable, ~desirable))
        self.record(kl=kl, **{"rewards/chosen": chosen, "rewards/rejected": rejected})
        if len(chosen) and len(rejected):
            self.record(**{"rewards/margins": chosen.mean() - rejected.mean()})
        return (weights * kto_loss(ratios, desirable, kl, self.beta)).mean()

    def _log_ratios(self, model: Any, rows: list[dict], completions: list[list[int]]) -> Tensor:
        """log(π/π_ref) [B] of completions of the rows' prompts, in nats."""
        own = self.token_logps(model, rows, completions)
        other, as_itself = as_reference(self.accelerator.unwrap_model(model), self.reference)
        with torch.no_grad(), as_itself:
            theirs = self.token_logps(other, rows, completions)
        return torch.stack([a.sum() - b.sum() for a, b in zip(own, theirs, strict=True)])


def build(setup: Setup) -> KTOTrainer:
    """The KTO trainer of a run."""
    return of_run(KTOTrainer, setup, reference=setup.reference, beta=setup.config.beta)
