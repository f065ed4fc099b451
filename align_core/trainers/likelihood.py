"""Baselines of DPO: likelihood of the chosen texts, and unlikelihood of the rejected ones.

Preferred-FT and unlikelihood of arXiv 2305.18290, section 6. Neither uses a reference.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from align_core.objectives import likelihood_loss
from align_core.trainers.texts import PairTrainer, sums


class LikelihoodTrainer(PairTrainer):
    """A trainer on pairs. The loss of a pair is a sum over its tokens; `alpha` is the weight of the
    rejected text."""

    def __init__(self, *args: Any, alpha: float, **arguments: Any) -> None:
        super().__init__(*args, **arguments)
        self._alpha = alpha

    def losses(self, chosen: list[Tensor], rejected: list[Tensor]) -> Tensor:
        return likelihood_loss(sums(chosen), sums(rejected), self._alpha)
