"""The work of a run between optimiser steps: commands, evaluations, events, checkpoints."""

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

# Keys that trainers add to every log and that are useless in a short run.
_DROPPED = {"epoch", "total_flos", "num_tokens", "num_input_tokens_seen", "lr", "eps"}

Write = Callable[..., None]  # write(kind, step, **payload)
Evaluate = Callable[[], dict[str, Any]]  # -> event kind -> payload: "metrics", perhaps "samples"


class RunCallback(TrainerCallback):
    """Turns the training of a Trainer into a run: logged, evaluated and controlled by commands.

    Args:
        write: write(kind, step, **payload) writes an event.
        evaluate: returns event kind -> payload; raises Interrupted on a stop.
        updates_per_step: optimiser updates in a step of the run; in PPO a step is a rollout.
        deadline: seconds on the clock of `time.monotonic`; infinity for no time limit.
    """

    sees_updates = True  # a stop need not wait for the end of a rollout

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
        self._delay = 0.0  # seconds between two steps, so that an audience can follow
        self._step_began = 0.0  # on the clock of time.perf_counter
        self._measured: int | None = None  # the optimiser update of the last evaluation
        self._logged: dict[str, float] = {}  # metrics of the current step, logged before its loss
        self._wrote_measuring = False  # whether the newest phase in the log is "measuring"
        self._trainer_phases = getattr(trainer, "phases", None)
        if self._trainer_phases is not None:
            self._trainer_phases.listener = self._write_phase
        if hasattr(trainer, "example_listener"):
            trainer.example_listener = self._write_example
        self.stop_reason: Message | None = None

    @property
    def measured(self) -> bool:
        """Whether the current model was evaluated."""
        return self._measured == self._trainer.state.global_step

    def measure(self) -> bool:
        """Evaluate the current model and write the events of the result.

        Returns False if this update was evaluated already, or if a stop interrupted it.
        """
        if self.measured:
            return False
        update = self._trainer.state.global_step
        if self.stop_reason is None:
            self._write_phase("measuring")
            self._wrote_measuring = True
        start = time.perf_counter()
        try:
            payloads = self._evaluate()
        except Interrupted:
            return False
        payloads["metrics"]["timing/evaluation"] = time.perf_counter() - start
        for kind, payload in payloads.items():
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
            self._measured = state.global_step  # every checkpoint follows an evaluation
        self._begin_updates()
        self._step_began = time.perf_counter()

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> None:
        """After every optimiser update: check for a stop, also in the middle of a rollout."""
        self._check_stop(control)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float],
        **_: Any,
    ) -> None:
        """After every step: write its metrics, evaluate, and execute commands.

        The log with the loss ends a step. Anything that the trainer logged before it, in a separate
        call, belongs to the same step; Trainer's final summary belongs to none.
        """
        self._logged |= {name: value for name, value in logs.items() if name not in _DROPPED}
        if "loss" not in logs:
            return
        step = state.global_step // self._updates_per_step
        metrics, self._logged = self._logged, {}
        metrics["timing/step"] = time.perf_counter() - self._step_began
        self._write("metrics", step, metrics=metrics)
        if self.stop_reason is not None:
            return
        last = state.global_step == state.max_steps
        scheduled = last or step % self._eval_every == 0
        if scheduled or self._single_step:
            self.measure()
        control.should_save = scheduled and not last  # a killed run resumes from here
        if self._trainer.accelerator.num_processes == 1:
            self._execute_commands(step, last)
        self._check_stop(control)
        if not last:
            self._begin_updates()
        self._step_began = time.perf_counter()

    def _begin_updates(self) -> None:
        """After an evaluation, write that updates follow, unless the trainer reports its phases."""
        if self._wrote_measuring and self.stop_reason is None and self._trainer_phases is None:
            self._write_phase("updating")
        self._wrote_measuring = False

    def _write_example(self, example: dict[str, Any]) -> None:
        step = self._trainer.state.global_step // self._updates_per_step
        self._write("example", step, example=example)

    def _write_phase(self, phase: str, **details: Any) -> None:
        step = self._trainer.state.global_step // self._updates_per_step
        self._write("phase", step, phase=phase, **details)

    def _check_stop(self, control: TrainerControl) -> None:
        """End the training if a stop has been requested or the deadline has passed."""
        if time.monotonic() >= self._deadline:
            reason = Message("time_limit", {}, "The time limit was reached.")
            self._control.put({"command": "stop", "reason": reason})
        if self._agreed_to_stop():
            self.stop_reason = self._control.take_stop()
            control.should_training_stop = True

    def _agreed_to_stop(self) -> bool:
        """Whether any process has a stop request, so that all of them stop at this call.

        Each call compares the requests of all processes.
        """
        agreed = distributed.any_process(self._trainer.accelerator, self._control.stop_requested)
        if agreed:
            self._control.put({"command": "stop"})
        return agreed

    def _execute_commands(self, step: int, last: bool) -> None:
        """Execute commands, waiting while the run is paused or until the next step is due.

        A stop or the deadline ends the wait.
        """
        step_end = time.monotonic()
        paused = self._single_step and not last
        self._single_step = False
        if paused:
            self._write("status", step, status="paused", message="")
        while True:
            due = math.inf if paused else step_end if last else step_end + self._delay
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
        current = {"beta": getattr(self._trainer, "beta", None)}  # None for SFT and reward models
        current["learning_rate"] = scheduler.base_lrs[0]
        changed = [name for name, value in current.items() if command.get(name, value) != value]
        settings = {name: command[name] for name in changed}
        if "beta" in settings:
            self._trainer.beta = settings["beta"]
        if "learning_rate" in settings:
            scheduler.base_lrs = [settings["learning_rate"]] * len(scheduler.base_lrs)
            scheduler.last_epoch -= 1  # repeat this step of the schedule, with the new base rate
            scheduler.step()
        if settings:
            before = {name: current[name] for name in changed}
            self._write("change", step, settings=settings, before=before)
