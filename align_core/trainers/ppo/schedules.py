"""Learning rate schedules that count rollouts, and subclasses that make their own."""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from transformers import Trainer

from align_core.trainers.mixins import TrainerMixin


class ScheduleByRollout:
    """A schedule that was made for TRL's PPO, over `args.num_total_batches` steps. Trainer steps it
    after each update, which acts only after the last one of a rollout."""

    def __init__(self, schedule: LRScheduler, trainer: Trainer) -> None:
        self._schedule, self._trainer = schedule, trainer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._schedule, name)

    def step(self) -> None:
        # Trainer counts the update only afterwards.
        updates = self._trainer.state.global_step + 1
        if updates % self._trainer.args.updates_per_rollout == 0:
            self._schedule.step()


def by_rollout(optimizers: tuple[Any, Any], trainer: Trainer) -> tuple[Any, Any]:
    """The pair with its schedule, if there is one, as a `ScheduleByRollout`. ReduceLROnPlateau
    stays as it is, because evaluations step it."""
    optimizer, schedule = optimizers
    if schedule is None or isinstance(schedule, ReduceLROnPlateau):
        return optimizers
    return optimizer, ScheduleByRollout(schedule, trainer)


class OwnOptimizer(TrainerMixin):
    """A mixin of PPOTrainer for subclasses with their own `create_optimizer_and_scheduler`, which
    TRL's PPO calls with its number of rollouts, and Trainer never calls."""

    optimizer: Any  # set by transformers.Trainer
    lr_scheduler: Any
    _is_creating = False

    def create_optimizer(self, model: Any = None) -> Optimizer:
        own = type(self).create_optimizer_and_scheduler
        has_own = own is not Trainer.create_optimizer_and_scheduler
        # The method of the subclass may call this one again.
        if self.optimizer is not None or self._is_creating or not has_own:
            return super().create_optimizer(model)
        self._is_creating = True
        try:
            self.create_optimizer_and_scheduler(self.args.num_total_batches)
        finally:
            self._is_creating = False
        made = self.optimizer, self.lr_scheduler
        self.optimizer, self.lr_scheduler = by_rollout(made, self)
        return self.optimizer
