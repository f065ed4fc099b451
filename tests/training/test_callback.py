"""RunCallback, with a trainer that only counts steps."""

from __future__ import annotations

import math
import threading
import time
from types import SimpleNamespace

import pytest
import torch
from transformers import TrainerControl, TrainerState, get_linear_schedule_with_warmup

from align_core.config.messages import plain
from align_core.models.sampling import Interrupted
from align_core.runs.control import Control
from align_core.training import callback
from align_core.training.callback import RunCallback


class Counter:
    """A Trainer without a model; a step is two optimiser updates, and calls the callback."""

    def __init__(
        self, steps: int = 10, eval_every: int = 5, deadline: float = math.inf, **own: object
    ) -> None:
        self.state = TrainerState(max_steps=2 * steps)
        self.accelerator = SimpleNamespace(num_processes=1)
        self.beta = 0.5
        vars(self).update(own)
        self.optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        self.lr_scheduler = get_linear_schedule_with_warmup(self.optimizer, 4, 2 * steps)
        self.control, self.flags = Control(), TrainerControl()
        self.events: list[tuple] = []
        self.answers: list[str] = []  # commands that come in the pauses, one in each
        self.callback = RunCallback(
            self,
            self.control,
            self.write,
            self.evaluate,
            updates_per_step=2,
            eval_every=eval_every,
            deadline=deadline,
        )
        self.callback.on_train_begin(None, self.state, self.flags)

    def write(self, kind: str, step: int, **payload: object) -> None:
        self.events.append((kind, step, payload))
        if payload.get("status") == "paused" and self.answers:
            self.put(self.answers.pop(0))

    def evaluate(self) -> dict:
        if self.control.stop_requested:
            raise Interrupted
        return {"metrics": {"eval/kl": 0.0}}

    def update(self) -> None:
        self.optimizer.step()
        self.lr_scheduler.step()
        self.state.global_step += 1
        self.flags.should_save = False
        self.callback.on_step_end(None, self.state, self.flags)
        if self.state.global_step % 2 == 0:
            self.callback.on_log(None, self.state, self.flags, {"loss": 1.0, "epoch": 0.1})

    def step(self) -> None:
        for _ in range(2):
            if not self.flags.should_training_stop:
                self.update()

    def put(self, command: str, **settings: float) -> None:
        self.control.put({"command": command, **settings})

    def summary(self) -> list[str | float]:
        """The events in short: statuses, kinds of metrics, changed values."""
        return [
            payload["status"]
            if kind == "status"
            else ("evaluation" if "eval/kl" in payload["metrics"] else "step")
            if kind == "metrics"
            else kind
            for kind, _, payload in self.events
            if kind != "phase"
        ]

    def announced(self) -> list[tuple[int, str]]:
        """(step, phase) of the phase events."""
        return [(step, content["phase"]) for kind, step, content in self.events if kind == "phase"]


def seconds(call) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start


def test_a_step_is_logged_then_evaluated_and_then_commands_are_obeyed():
    trainer = Counter(eval_every=1)
    trainer.put("pause")
    trainer.answers = ["resume"]
    trainer.step()
    assert trainer.summary() == ["evaluation", "step", "evaluation", "paused", "running"]
    assert [step for kind, step, _ in trainer.events if kind != "phase"] == [0, 1, 1, 1, 1]


def test_evaluations_are_announced_and_so_are_the_updates_after_them():
    trainer = Counter(steps=4, eval_every=2)
    assert trainer.announced() == [(0, "measuring"), (0, "updating")]
    assert [kind for kind, *_ in trainer.events] == ["phase", "metrics", "phase"]
    trainer.events.clear()
    for _ in range(4):
        trainer.step()
    assert trainer.announced() == [(2, "measuring"), (2, "updating"), (4, "measuring")]


def test_a_trainer_with_phases_of_its_own_announces_them_itself():
    trainer = Counter(steps=4, eval_every=2, phases=SimpleNamespace(listener=None))
    trainer.phases.listener("scoring", count=8)
    assert [(kind, content) for kind, _, content in trainer.events if kind == "phase"] == [
        ("phase", {"phase": "measuring"}),
        ("phase", {"phase": "scoring", "count": 8}),
    ]


def test_a_pause_and_a_single_step_are_each_evaluated_once():
    trainer = Counter()
    trainer.put("pause")
    trainer.answers = ["step", "resume"]
    trainer.step()
    assert trainer.summary()[1:] == ["step", "paused", "evaluation", "running"]
    trainer.events.clear()
    trainer.step()
    assert trainer.summary() == ["step", "evaluation", "paused", "running"]
    trainer.events.clear()
    trainer.step()
    assert trainer.summary() == ["step"]


def test_two_step_commands_make_two_steps():
    trainer = Counter()
    trainer.put("pause")
    trainer.put("step")
    trainer.put("step")
    trainer.step()
    trainer.answers = ["resume"]
    trainer.step()
    assert trainer.summary().count("running") == 2
    assert not trainer.callback.measure(), "the second is a single step, so it is evaluated"


def test_a_stop_in_the_middle_of_a_step_ends_it_there():
    trainer = Counter()
    trainer.put("stop", reason=plain("enough"))
    trainer.step()
    assert trainer.state.global_step == 1
    assert trainer.callback.stop_reason == plain("enough")
    assert trainer.summary() == ["evaluation"]


def test_after_a_stop_the_policy_is_evaluated_once_unless_stopped_again():
    trainer = Counter()
    trainer.step()
    trainer.put("stop")
    trainer.step()
    assert not trainer.control.stop_requested, "this command is obeyed"
    trainer.put("stop")
    assert not trainer.callback.measure()
    assert trainer.control.take_stop() == plain("")
    assert trainer.callback.measure()
    assert trainer.events[-1][:2] == ("metrics", 1), (
        "the metrics are those of the last complete step"
    )
    assert not trainer.callback.measure()


def test_the_trainers_summary_is_not_a_step():
    trainer = Counter()
    trainer.step()
    before = trainer.summary()
    summary = {"train_loss": 0.5, "objective/kl": 0.1}
    trainer.callback.on_log(None, trainer.state, trainer.flags, summary)
    assert trainer.summary() == before


def test_checkpoints_are_written_at_evaluations_and_training_continues():
    trainer, saved = Counter(steps=4, eval_every=3), []
    for _ in range(4):
        trainer.step()
        saved.append(trainer.flags.should_save)
    assert saved == [False, False, True, False]


def test_the_time_of_a_step_is_its_own(monkeypatch):
    """Each of its two updates takes 0.5 s; the pause between the steps takes 8 s."""
    now = [100.0]
    clock = SimpleNamespace(perf_counter=lambda: now[0], monotonic=time.monotonic)
    monkeypatch.setattr(callback, "time", clock)

    class Slow(Counter):
        def update(self) -> None:
            now[0] += 0.5
            super().update()

        def write(self, kind: str, step: int, **payload: object) -> None:
            now[0] += 8 if payload.get("status") == "paused" else 0
            super().write(kind, step, **payload)

    trainer = Slow()
    trainer.put("pause")
    trainer.answers = ["resume"]
    trainer.step()
    trainer.step()
    measured = [payload.get("metrics", {}) for _, _, payload in trainer.events]
    times = [metrics["timing/step"] for metrics in measured if "timing/step" in metrics]
    assert times == [1.0, 1.0]


# Settings changed during a run


def test_a_change_has_the_old_and_the_new_value():
    trainer = Counter()
    trainer.put("set", beta=2.0, learning_rate=0.3, delay=0.0)
    trainer.step()
    assert trainer.events[-1] == (
        "change",
        1,
        {
            "settings": {"beta": 2.0, "learning_rate": 0.3},
            "before": {"beta": 0.5, "learning_rate": 0.1},
        },
    )
    assert trainer.beta == 2.0


def test_setting_the_current_value_is_no_change():
    trainer = Counter()
    trainer.put("set", beta=0.5, learning_rate=0.1)
    trainer.step()
    assert "change" not in trainer.summary()
    trainer.put("set", beta=0.5, learning_rate=0.3)
    trainer.step()
    content = {"settings": {"learning_rate": 0.3}, "before": {"learning_rate": 0.1}}
    assert trainer.events[-1] == ("change", 2, content)


@pytest.mark.parametrize("changed_at", [1, 6])
def test_a_learning_rate_keeps_the_shape_of_its_schedule(changed_at):
    """4 updates of warm-up, then a decay to 0 after 20. Update n + 1 has the factor of n."""
    trainer = Counter()
    for step in range(1, 10):
        if step == changed_at:
            trainer.put("set", learning_rate=0.3)
        trainer.step()
        n = 2 * step
        factor = n / 4 if n < 4 else (20 - n) / 16
        base = 0.3 if step >= changed_at else 0.1
        assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(base * factor, rel=1e-12)


# Slow motion


def slow(delay: float, **settings) -> Counter:
    trainer = Counter(**settings)
    trainer.put("set", delay=delay)
    return trainer


def test_a_delay_lies_between_steps_and_logs_no_change():
    trainer = slow(0.2)
    cpu = time.thread_time()
    assert seconds(trainer.step) >= 0.2
    assert seconds(trainer.step) >= 0.2
    assert time.thread_time() - cpu < 0.1, "it waits without polling"
    assert trainer.summary() == ["evaluation", "step", "step"]


@pytest.mark.parametrize("command", ["stop", "pause"])
def test_a_command_ends_the_delay(command):
    trainer = slow(60)
    trainer.answers = ["step"]
    threading.Timer(0.1, trainer.put, [command]).start()
    assert seconds(trainer.step) < 60
    assert trainer.flags.should_training_stop == (command == "stop")
    assert ("paused" in trainer.summary()) == (command == "pause")


def test_a_new_delay_counts_from_the_step_and_other_settings_do_not_change_it():
    trainer = slow(60)

    def change() -> None:
        trainer.put("set", beta=1.0)
        trainer.put("set", delay=0.3)

    threading.Timer(0.1, change).start()
    assert 0.3 <= seconds(trainer.step) < 60
    assert trainer.summary()[-1] == "change"


def test_no_delay_follows_the_last_step():
    assert seconds(slow(60, steps=1).step) < 60


@pytest.mark.parametrize("command", [{"command": "set", "delay": 60}, {"command": "pause"}])
def test_the_time_limit_ends_a_delay_and_a_pause(command):
    trainer = Counter(deadline=time.monotonic() + 0.2)
    trainer.control.put(command)
    assert seconds(trainer.step) < 60
    assert trainer.flags.should_training_stop
    assert trainer.callback.stop_reason.text == "The time limit was reached."
