"""χPO: DPO with the link φ(z) = z + log z in place of log z (arXiv 2407.13399).

Its optimum at β solves r = β·φ(π/π_ref) + constant, with the χ² divergence beside the KL. So a text
gets a probability that grows only in proportion to its reward, not exponentially: the policy stays
nearer to its reference than DPO's at the same β, above all on texts that few pairs speak for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from align_core.objectives import chipo_loss
from align_core.trainers.common import Setup
from align_core.trainers.texts import ReferenceTrainer, of_run

# R_max of the paper, nats: the largest difference of two rewards is supposed to be twice that.
LARGEST_REWARD = 10.0


class ChiPOTrainer(ReferenceTrainer):
    """A trainer on pairs of token ids, which may have the reference's log-probabilities."""

    def compute_loss(self, model: Any, inputs: dict[str, list[dict]], *_: Any, **__: Any) -> Tensor:
        """The mean loss of a batch of pairs."""
        rows = inputs["rows"]
        chosen, rejected = (self._of_side(model, rows, side) for side in ("chosen", "rejected"))
        self.record_rewards(chosen, rejected)
        self.record(**{"rewards/accuracies": chosen > rejected})
        self.show_pair(rows, self.beta * torch.stack([chosen[0], rejected[0]]).detach())
        return chipo_loss(chosen, rejected, self.beta, 2 * LARGEST_REWARD).mean()

    def _of_side(self, model: Any, rows: Sequence[Mapping], side: str) -> Tensor:
        """log(π/π_ref) [B] of the chosen or rejected texts, in nats."""
        completions = [row[f"{side}_ids"] for row in rows]
        known = [row.get(f"ref_{side}_logps") for row in rows]
        if None in known:
            return self.log_ratios(model, rows, completions)
        own = self.sequence_logps(model, rows, completions)
        return own - torch.tensor(known, device=own.device)


def build(setup: Setup) -> ChiPOTrainer:
    """The χPO trainer of a run."""
    return of_run(ChiPOTrainer, setup, reference=setup.reference, beta=setup.config.beta)
