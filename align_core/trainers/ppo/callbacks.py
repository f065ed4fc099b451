"""The callbacks of PPO, for which a step is a rollout with its updates, as in TRL's PPO."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from transformers import (
    DefaultFlowCallback,
    EarlyStoppingCallback,
    TrainerCallback,
    TrainerControl,
)
from transformers.trainer_callback import CallbackHandler

if TYPE_CHECKING:
    from align_core.trainers.ppo.metrics import PPOMetrics

_OF_STEPS = ("on_step_begin", "on_step_end")
# Callbacks of TRL that expect another model than a policy with values -> their replacements.
_REPLACED = {
    "SyncRefModelCallback": "sync_ref_model=True in PPOConfig",
    "BEMACallback": "a callback of your own, on model.policy",
}


class RolloutCallbacks(CallbackHandler):
    """The callbacks of a trainer, with `on_step_begin` and `on_step_end` once a rollout.

    Neither method is called between two updates of the same rollout: there is no new entry in the
    log then, which scripts for TRL's PPO expect, and no checkpoint could be resumed from there.
    `on_optimizer_step` follows every update. For Trainer itself, and for callbacks with
    `sees_updates`, a step is an update.
    """

    callbacks: list[TrainerCallback]

    def __init__(self, trainer: PPOMetrics) -> None:
        handler = trainer.callback_handler
        flow, *others = handler.callbacks
        parts = handler.model, handler.processing_class, handler.optimizer, handler.lr_scheduler
        self._settings = trainer.args
        super().__init__([flow, LogsFirst(trainer), *others], *parts)

    def add_callback(self, callback: TrainerCallback | type[TrainerCallback]) -> None:
        """Raises ValueError for a callback that would fail during the run."""
        kind = callback if isinstance(callback, type) else type(callback)
        for name in (base.__name__ for base in kind.__mro__):
            if name in _REPLACED:
                raise ValueError(f"callbacks: expected {_REPLACED[name]}, got {name}")
        args = self._settings
        evaluates = args.eval_strategy != "no" and args.metric_for_best_model is not None
        if issubclass(kind, EarlyStoppingCallback) and not evaluates:
            strategy = getattr(args.eval_strategy, "value", args.eval_strategy)
            line = "expected eval_strategy and metric_for_best_model, as 'objective/scores'"
            got = f"{strategy!r} and {args.metric_for_best_model!r}"
            raise ValueError(f"{kind.__name__}: {line}, got {got}")
        super().add_callback(callback)

    def on_log(
        self, args: Any, state: Any, control: TrainerControl, logs: dict[str, Any]
    ) -> TrainerControl:
        if "loss" not in logs:
            logs = EvaluationEntry(logs, state.log_history)
        return super().on_log(args, state, control, logs)

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


class EvaluationEntry(dict):
    """The logged metrics of an evaluation; a metric that is not among them is looked up in the last
    rollout of `log_history`.

    TRL's PPO logs rollouts only, so callbacks for it read their metrics in every entry, without a
    guard. Guards and loops see the evaluation's own metrics alone.
    """

    def __init__(self, metrics: dict[str, Any], log_history: list[dict[str, Any]]) -> None:
        super().__init__(metrics)
        rollouts = (entry for entry in reversed(log_history) if "loss" in entry)
        self._rollout: dict[str, Any] = next(rollouts, {})

    def __missing__(self, name: str) -> Any:
        return self._rollout[name]


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
        self._trainer.log_step()
