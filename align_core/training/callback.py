"""What a run does between two optimiser steps: obey, evaluate, write events, keep checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from align_core.config.messages import Message
from align_core.models import distributed
from align_core.models.sampling import Interrupted
from align_core.runs.control import Control

# Names that Trainer adds to every log and that say nothing about a short run.
_UNWANTED = {"epoch", "total_flos", "num_tokens", "num_input_tokens_seen"}

Write = Callable[..., None]  # write(kind, step, **payload)
Evaluate = Callable[[], dict[str, Any]]  # "metrics", and "samples" where there are texts


class RunCallback(TrainerCallback):
    """Turns a Trainer into a run that can be watched, paused, turned, slowed down and stopped.

    Args:
        updates_per_step: optimiser updates in one step of the run (a rollout has several in PPO).
        deadline: on the clock of `time.monotonic`, seconds; infinity for no time limit.
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
        deadline: float,
    ) -> None:
        self._trainer, self._control = trainer, control
        self._write, self._evaluate = write, evaluate
        self._updates_per_step, self._eval_every = updates_per_step, eval_every
        self._deadline = deadline
        self._single_step = False
        self._delay = 0.0  # seconds between two steps, for talks
        self._step_began = 0.0  # on the clock of time.perf_counter
        self._measured: int | None = None  # the optimiser update after which it was evaluated last
        self.stop_reason: Message | None = None

    def measure(self) -> bool:
        """Evaluate the policy as it is now and write what was found.

        False where that is known already, or where a stop cut it short.
        """
        update = self._trainer.state.global_step
        if update == self._measured:
            return False
        start = time.perf_counter()
        try:
            found = self._evaluate()
        except Interrupted:
            return False
        found["metrics"]["timing/evaluation"] = time.perf_counter() - start
        for kind, payload in found.items():
            self._write(kind, update // self._updates_per_step, **{kind: payload})
        self._measured = update
        return True

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> None:
        if state.global_step == 0:
            self.measure()
        else:
            self._measured = state.global_step  # checkpoints are made where it was evaluated
        self._step_began = time.perf_counter()

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> None:
        """After every optimiser update: a stop does not wait for the end of a rollout."""
        self._heed_stop(control)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float],
        **_: Any,
    ) -> None:
        """After every step: write its metrics, evaluate, obey."""
        if "loss" not in logs:
            return  # Trainer's summary of the training, and what it noted of an unfinished rollout
        step = state.global_step // self._updates_per_step
        metrics = {name: value for name, value in logs.items() if name not in _UNWANTED}
        metrics["timing/step"] = time.perf_counter() - self._step_began
        self._write("metrics", step, metrics=metrics)
        if self.stop_reason is not None:
            return
        last = state.global_step == state.max_steps
        scheduled = last or step % self._eval_every == 0
        if scheduled or self._single_step:
            self.measure()
        control.should_save = scheduled and not last  # from this checkpoint a killed run resumes
        if self._trainer.accelerator.num_processes == 1:
            self._obey(step, last)
        self._heed_stop(control)
        self._step_began = time.perf_counter()

    def _heed_stop(self, control: TrainerControl) -> None:
        """End the training if that was told, or if its time is up."""
        if time.monotonic() >= self._deadline:
            reason = Message("time_limit", {}, "The time limit was reached.")
            self._control.put({"command": "stop", "reason": reason})
        if self._agreed_to_stop():
            self.stop_reason = self._control.obey_stop()
            control.should_training_stop = True

    def _agreed_to_stop(self) -> bool:
        """Whether to stop now: where one of several processes is told to, all do at this step.

        Told between two steps, a process waits for the next one, where the others hear of it.
        """
        agreed = distributed.any_says(self._trainer.accelerator, self._control.stopping)
        if agreed:
            self._control.put({"command": "stop"})
        return agreed

    def _obey(self, step: int, last: bool) -> None:
        """Take the commands that came; wait for more while paused, or until the next step is due.

        A stop ends the waiting, and so does the deadline.
        """
        reached = time.monotonic()
        paused = self._single_step and not last
        self._single_step = False
        if paused:
            self._write("status", step, status="paused", message="")
        while True:
            due = math.inf if paused else reached if last else reached + self._delay
            command = self._control.wait(min(due, self._deadline) - time.monotonic())
            match command:
                case None | {"command": "stop"}:
                    return
                case {"command": "set"}:
                    self._change(step, command)
                case {"command": "pause"} if not paused:
                    paused = True
                    self._write("status", step, status="paused", message="")
                    self.measure()
                case {"command": "resume" | "step" as name} if paused:
                    self._single_step = name == "step"
                    self._write("status", step, status="running", message="")
                    return

    def _change(self, step: int, command: dict[str, Any]) -> None:
        self._delay = command.get("delay", self._delay)
        scheduler = self._trainer.lr_scheduler
        now = {"beta": getattr(self._trainer, "beta", None)}  # SFT and a reward model have none
        now["learning_rate"] = scheduler.base_lrs[0]
        turned = [name for name, value in now.items() if command.get(name, value) != value]
        settings = {name: command[name] for name in turned}
        if "beta" in settings:
            self._trainer.beta = settings["beta"]
        if "learning_rate" in settings:
            scheduler.base_lrs = [settings["learning_rate"]] * len(scheduler.base_lrs)
            scheduler.last_epoch -= 1  # the same place of the schedule again, at its new height
            scheduler.step()
        if settings:
            before = {name: now[name] for name in turned}
            self._write("change", step, settings=settings, before=before)
