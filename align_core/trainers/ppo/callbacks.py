"""The callbacks of PPO, for which a step is a rollout with its updates, as in TRL's PPO."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from transformers import DefaultFlowCallback, TrainerCallback, TrainerControl
from transformers.trainer_callback import CallbackHandler

if TYPE_CHECKING:
    from align_core.trainers.ppo.metrics import PPOMetrics

_OF_STEPS = ("on_step_begin", "on_step_end")


class RolloutCallbacks(CallbackHandler):
    """The callbacks of a trainer, with `on_step_begin` and `on_step_end` once a rollout.

    Neither method is called between two updates of the same rollout, where a script for TRL's PPO
    would find no new entry in the log, and from where a checkpoint could not be resumed.
    `on_optimizer_step` follows every update. For Trainer itself, and for callbacks with
    `sees_updates`, a step is an update.
    """

    callbacks: list[TrainerCallback]

    def __init__(self, trainer: PPOMetrics) -> None:
        given = trainer.callback_handler
        flow, *others = given.callbacks
        parts = given.model, given.processing_class, given.optimizer, given.lr_scheduler
        super().__init__([flow, LogsFirst(trainer), *others], *parts)

    def call_event(
        self, event: str, args: Any, state: Any, control: TrainerControl, **details: Any
    ) -> TrainerControl:
        every = self.callbacks
        if event in _OF_STEPS and state.global_step % args.updates_per_rollout:
            self.callbacks = [callback for callback in every if _sees_updates(callback)]
        try:
            return super().call_event(event, args, state, control, **details)
        finally:
            self.callbacks = every


def _sees_updates(callback: TrainerCallback) -> bool:
    return isinstance(callback, DefaultFlowCallback) or getattr(callback, "sees_updates", False)


class LogsFirst(TrainerCallback):
    """Logs a step before any other callback sees its end, as TRL's PPO does."""

    sees_updates = True

    def __init__(self, trainer: PPOMetrics) -> None:
        self._trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: TrainerControl, **_: Any) -> None:
        self._trainer.began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: TrainerControl, **_: Any) -> None:
        if control.should_log:
            self._trainer.log_step()
