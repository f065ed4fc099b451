"""χPO: DPO with the link φ(z) = z + log z in place of log z (arXiv 2407.13399).

Its optimum at β solves r = β·φ(π/π_ref) + constant: the penalty adds the χ² divergence to the KL.
The probability of a text then grows only in proportion to its reward, not exponentially: the policy
stays nearer to its reference than with DPO at the same β, especially on texts that few pairs cover.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from align_core.objectives import chipo_loss
from align_core.trainers.common import Setup
from align_core.trainers.texts import ReferenceTrainer, make_trainer

# R_max of arXiv 2407.13399, in nats: the loss clips the difference of two rewards at 2 R_max.
LARGEST_REWARD = 10.0


class ChiPOTrainer(ReferenceTrainer):
    """A trainer on pairs of token ids, which may have the reference's log-probabilities."""

    def compute_loss(self, model: Any, inputs: dict[str, list[dict]], *_: Any, **__: Any) -> Tensor:
        """The mean loss of a batch of pairs."""
        rows = inputs["rows"]
        chosen, rejected = (
            self._side_log_ratios(model, rows, side) for side in ("chosen", "rejected")
        )
        self.record_rewards(chosen, rejected)
        self.record(**{"rewards/accuracies": chosen > rejected})
        self.show_pair(rows, self.beta * torch.stack([chosen[0], rejected[0]]).detach())
        return chipo_loss(chosen, rejected, self.beta, 2 * LARGEST_REWARD).mean()

    def _side_log_ratios(self, model: Any, rows: Sequence[Mapping], side: str) -> Tensor:
        """log(π/π_ref) [B] of the chosen or rejected texts, in nats."""
        completions = [row[f"{side}_ids"] for row in rows]
        ref_logps = [row.get(f"ref_{side}_logps") for row in rows]
        if None in ref_logps:
            return self.log_ratios(model, rows, completions)
        logps = self.sequence_logps(model, rows, completions)
        return logps - torch.tensor(ref_logps, device=logps.device)


def build(setup: Setup) -> ChiPOTrainer:
    """The χPO trainer of a run."""
    return make_trainer(ChiPOTrainer, setup, reference=setup.reference, beta=setup.config.beta)
