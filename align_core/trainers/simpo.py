"""SimPO: compares the mean log-probabilities per token of a pair's texts (arXiv 2405.14734).

It needs no reference.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from align_core.objectives import simpo_loss
from align_core.trainers.common import Setup
from align_core.trainers.texts import PairTrainer, make_trainer, means


class SimPOTrainer(PairTrainer):
    """Separates the mean log-probabilities of a pair's texts; `scale` is β in arXiv 2405.14734, and
    `margin` is γ."""

    def __init__(self, *args: Any, scale: float, margin: float, **arguments: Any) -> None:
        super().__init__(*args, **arguments)
        self._scale, self._margin = scale, margin

    def losses(self, chosen: list[Tensor], rejected: list[Tensor]) -> Tensor:
        return simpo_loss(means(chosen), means(rejected), self._scale, self._margin)


def build(setup: Setup) -> SimPOTrainer:
    """The SimPO trainer of a run."""
    return make_trainer(SimPOTrainer, setup, scale=setup.config.scale, margin=setup.config.margin)
