"""KTO: learning from single texts, each desirable or not (arXiv 2402.01306).

A text's reward β log(π/π_ref) is compared with z0, an estimate of β KL(π ‖ π_ref) from completions
of other prompts. TRL's KTOTrainer has the same loss, but tokenises texts itself: it would append
the end token to a text that was cut at the token limit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from align_core.objectives import kto_loss
from align_core.trainers.common import Setup
from align_core.trainers.texts import ReferenceTrainer, make_trainer


class KTOTrainer(ReferenceTrainer):
    """A trainer on rows of `prompt_ids`, `completion_ids` and `label`, true if desirable.

    Texts with the rarer label weigh more, so that both labels have the same total weight.
    """

    def __init__(self, *args: Any, **arguments: Any) -> None:
        super().__init__(*args, **arguments)
        labels = [*self.train_dataset["label"]]
        share = sum(labels) / max(1, len(labels) - sum(labels))
        self.weights = max(1.0, 1 / share), max(1.0, share)

    def compute_loss(self, model: Any, inputs: dict[str, list[dict]], *_: Any, **__: Any) -> Tensor:
        """The weighted mean loss of a batch. For z0, each prompt is paired with the completion of
        the next row."""
        rows = inputs["rows"]
        ratios = self.log_ratios(model, rows, [row["completion_ids"] for row in rows])
        with torch.no_grad():
            rotated = [row["completion_ids"] for row in rows[1:] + rows[:1]]
            kl = self.log_ratios(model, rows, rotated).mean()
            kl = self.accelerator.reduce(kl, "mean").clamp(min=0)
        desirable = torch.tensor([row["label"] for row in rows], device=ratios.device)
        weights = torch.where(desirable, *self.weights)
        self.record(kl=kl)
        self.record_rewards(ratios[desirable], ratios[~desirable])
        return (weights * kto_loss(ratios, desirable, kl, self.beta)).mean()


def build(setup: Setup) -> KTOTrainer:
    """The KTO trainer of a run."""
    return make_trainer(KTOTrainer, setup, reference=setup.reference, beta=setup.config.beta)
