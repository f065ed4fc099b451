"""A learning rate schedule that counts rollouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

if TYPE_CHECKING:
    from align_core.trainers.ppo.trainer import PPOTrainer


class ScheduleByRollout:
    """A schedule that was made for TRL's PPO, over `args.num_total_batches` steps. Trainer steps it
    after each update, which acts only after the last one of a rollout."""

    def __init__(self, schedule: LRScheduler, trainer: PPOTrainer) -> None:
        self._schedule, self._trainer = schedule, trainer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._schedule, name)

    def step(self) -> None:
        # Trainer counts the update only afterwards.
        updates = self._trainer.state.global_step + 1
        if updates % self._trainer.args.updates_per_rollout == 0:
            self._schedule.step()


def by_rollout(optimizers: tuple[Any, Any], trainer: PPOTrainer) -> tuple[Any, Any]:
    """The pair with its schedule, if there is one, as a `ScheduleByRollout`. ReduceLROnPlateau
    stays as it is, because evaluations step it."""
    optimizer, schedule = optimizers
    if schedule is None or isinstance(schedule, ReduceLROnPlateau):
        return optimizers
    return optimizer, ScheduleByRollout(schedule, trainer)
