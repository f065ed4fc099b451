"""What a run does between two optimiser steps: obey, evaluate, write events, keep checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from align_core.control import Control
from align_core.sampling import Interrupted

# Names that Trainer adds to every log and that say nothing about a short run.
_UNWANTED = {"epoch", "total_flos", "num_tokens", "num_input_tokens_seen"}

Write = Callable[..., None]  # write(kind, step, **payload)
Evaluate = Callable[[], dict[str, Any]]  # "metrics", and "samples" where there are texts


class RunCallback(TrainerCallback):
    """Turns a Trainer into a run that can be watched, paused, turned and stopped.

    Args:
        updates_per_step: optimiser updates in one step of the run (a rollout has several in PPO).
        deadline: on the clock of `time.monotonic`, seconds; None for no time limit.
        evaluate: raises Interrupted when the run is told to stop in the middle of it.
    """

    def __init__(
        self,
        trainer: Trainer,
        control: Control,
        write: Write,
        evaluate: Evaluate,
        *,
        updates_per_step: int,
        eval_every: int,
        deadline: float | None,
    ) -> None:
        self._trainer, self._control = trainer, control
        self._write, self._evaluate = write, evaluate
        self._updates_per_step, self._eval_every = updates_per_step, eval_every
        self._deadline = deadline
        self._single_step = False
        self.stop_reason: str | None = None

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> None:
        if state.global_step == 0:
            self._evaluate_at(0)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> None:
        step, within = divmod(state.global_step, self._updates_per_step)
        last = state.global_step == state.max_steps
        if within == 0 and (last or step % self._eval_every == 0):
            self._evaluate_at(step)
            control.should_save = not last  # a checkpoint: from here a killed run resumes
        if self._deadline is not None and time.monotonic() > self._deadline:
            self._control.put({"command": "stop", "reason": "The time limit was reached."})
        stopping = self._agreed_to_stop()
        if stopping or (within == 0 and self._trainer.accelerator.num_processes == 1):
            self._obey(step, last)
        control.should_training_stop = control.should_training_stop or self.stop_reason is not None

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float],
        **_: Any,
    ) -> None:
        metrics = {
            name: value
            for name, value in logs.items()
            if name not in _UNWANTED and not name.startswith("train_")
        }
        if metrics:
            step = -(-state.global_step // self._updates_per_step)
            self._write("metrics", step, metrics=metrics)

    def _agreed_to_stop(self) -> bool:
        """Whether to stop now: where one of several processes is told to, all do at this step.

        Told between two steps, a process waits for the next one, where the others hear of it.
        """
        accelerator = self._trainer.accelerator
        if accelerator.num_processes == 1:
            return self._control.stopping
        told = torch.tensor(float(self._control.stopping), device=accelerator.device)
        agreed = bool(accelerator.reduce(told, "sum") > 0)
        if agreed:
            self._control.put({"command": "stop"})
        return agreed

    def _evaluate_at(self, step: int) -> None:
        start = time.perf_counter()
        try:
            found = self._evaluate()
        except Interrupted:
            return
        found["metrics"]["timing/evaluation"] = time.perf_counter() - start
        for kind, payload in found.items():
            self._write(kind, step, **{kind: payload})

    def _obey(self, step: int, last: bool) -> None:
        """Take the commands that came; while paused, wait for more."""
        paused = self._single_step and not last
        self._single_step = False
        if paused:
            self._write("status", step, status="paused", message="")
        commands = self._control.pending()
        while True:
            for command in commands:
                match command["command"]:
                    case "stop":
                        self.stop_reason = command.get("reason", "")
                        return
                    case "set":
                        self._change(step, command)
                    case "pause" if not paused:
                        paused = True
                        self._write("status", step, status="paused", message="")
                    case "resume" | "step" if paused:
                        paused = False
                        self._single_step = command["command"] == "step"
                        self._write("status", step, status="running", message="")
            if not paused:
                return
            commands = [self._control.wait()]

    def _change(self, step: int, command: dict[str, Any]) -> None:
        settings = {name: command[name] for name in ("beta", "learning_rate") if name in command}
        if "beta" in settings:
            self._trainer.beta = settings["beta"]
        if "learning_rate" in settings:
            scheduler = self._trainer.lr_scheduler
            scheduler.base_lrs = [settings["learning_rate"]] * len(scheduler.base_lrs)
            for group in self._trainer.optimizer.param_groups:
                group["lr"] = settings["learning_rate"]
        self._write("change", step, settings=settings)
