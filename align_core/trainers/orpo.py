"""ORPO: imitation of the chosen texts and an odds ratio, without a reference (arXiv 2403.07691)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from align_core.objectives import orpo_loss
from align_core.trainers.common import Setup
from align_core.trainers.texts import PairTrainer, make_trainer, means


class ORPOTrainer(PairTrainer):
    """Imitates the chosen texts; `odds_weight` is the λ of the odds ratio."""

    def __init__(self, *args: Any, odds_weight: float, **arguments: Any) -> None:
        super().__init__(*args, **arguments)
        self._odds_weight = odds_weight

    def losses(self, chosen: list[Tensor], rejected: list[Tensor]) -> Tensor:
        return orpo_loss(means(chosen), means(rejected), self._odds_weight)


def build(setup: Setup) -> ORPOTrainer:
    """The ORPO trainer of a run."""
    return make_trainer(ORPOTrainer, setup, odds_weight=setup.config.odds_weight)
