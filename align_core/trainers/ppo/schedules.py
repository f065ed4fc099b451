"""The optimizer, which exists before training, and learning rate schedules that count rollouts."""

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


class Optimizers(TrainerMixin):
    """A mixin of PPOTrainer that makes its optimizer and schedule with the trainer, as TRL's PPO
    does, so that scripts can read and change them before `train`.

    A subclass may have its own `create_optimizer_and_scheduler`, which TRL's PPO calls with its
    number of rollouts, and Trainer never calls.
    """

    optimizer: Any  # set by transformers.Trainer
    lr_scheduler: Any
    _is_creating = False

    def __init__(self, *, optimizers: tuple[Any, Any], **arguments: Any) -> None:
        super().__init__(optimizers=by_rollout(optimizers, self), **arguments)
        # Shards, and their optimizer, are made when training begins.
        if not (self.is_deepspeed_enabled or self.is_fsdp_enabled):
            self.create_optimizer()
            self.create_scheduler(self.args.max_steps)
        self._made_schedule = self.lr_scheduler

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
        self._created_lr_scheduler = False  # Trainer would replace its own when training begins
        return self.optimizer

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> Any:
        if self.lr_scheduler is not self._made_schedule:  # a script has assigned another one
            self.lr_scheduler = by_rollout((None, self.lr_scheduler), self)[1]
            self._created_lr_scheduler = False
        prepared = super()._prepare_for_training(*args, **kwargs)
        self._made_schedule = self.lr_scheduler
        return prepared
