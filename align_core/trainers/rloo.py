"""RLOO: REINFORCE with the mean reward of a prompt's other texts as baseline (arXiv 2402.14740).

Maximises E[r(x, y)] − β KL(π ‖ π_ref), as PPO does, so both have the same optimum. A whole text is
one action: β times the KL estimate of a text is subtracted from its reward, and the ratio of new to
old policy is clipped for the text, not for each token.
"""

from __future__ import annotations

from torch import Tensor

from align_core.objectives import leave_one_out
from align_core.trainers.common import Setup
from align_core.trainers.groups import GroupTrainer, make_trainer


class RLOOTrainer(GroupTrainer):
    """Compares each text's reward, minus β times its KL estimate, with the mean of this difference
    over the other texts of its group."""

    def _text_advantages(self, scores: Tensor, kl: Tensor) -> Tensor:
        return leave_one_out(scores - self.beta * kl, self.args.num_generations)

    def _log_ratio(self, log_ratio: Tensor, mask: Tensor) -> Tensor:
        return log_ratio.sum(1, keepdim=True).expand_as(log_ratio)


def build(setup: Setup) -> GroupTrainer:
    """The RLOO trainer of a run."""
    return make_trainer(RLOOTrainer, setup)
