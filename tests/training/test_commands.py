"""Commands to a live run: pause, step, resume and changes of settings."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import pytest

from align_core.config.run_config import RunConfig
from tests.training.films import METHODS, PAUSE, RESUME, STEP, STOP, Run, configured


def commanded(path, config: RunConfig, answers: Callable[[dict], list[dict]]) -> Run:
    """Execute a run while another thread sends commands in response to its events."""
    run, events = Run(path, config), queue.SimpleQueue()

    def answer() -> None:
        while (event := events.get()) is not None:
            for command in answers(event):
                run.control.put(command)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        return run.execute(on_event=events.put)
    finally:
        events.put(None)
        thread.join()


def script(*commands: list[dict]) -> Callable[[dict], list[dict]]:
    """Sends the first commands at a step's first metrics, and one of the others at each pause."""
    waiting = list(commands)

    def answers(event: dict) -> list[dict]:
        at_first = len(waiting) == len(commands) and event["kind"] == "metrics" and event["step"]
        paused = len(waiting) < len(commands) and event.get("status") == "paused"
        return waiting.pop(0) if waiting and (at_first or paused) else []

    return answers


@pytest.mark.parametrize("method", ["ppo", "dpo"])
def test_pause_step_set_and_stop(tmp_path, method):
    change = {"command": "set", "beta": 0.25, "learning_rate": 2e-4}
    run = commanded(
        tmp_path / "run",
        configured(method, steps=500),
        script([PAUSE], [STEP], [STEP], [change, STOP]),
    )
    assert run.status == "stopped"
    statuses = [(event["status"], event["step"]) for event in run.of("status")][1:]
    paused = statuses[0][1]
    assert statuses == [
        ("paused", paused),
        ("running", paused),
        ("paused", paused + 1),
        ("running", paused + 1),
        ("paused", paused + 2),
        ("stopped", paused + 2),
    ]
    (changed,) = run.of("change")
    config = configured(method)
    assert changed["step"] == paused + 2
    assert changed["settings"] == {"beta": 0.25, "learning_rate": 2e-4}
    assert changed["before"] == {"beta": config.beta, "learning_rate": config.learning_rate}
    assert run.weights()
    # Each pause comes after the evaluation and samples of its own step.
    assert {paused, paused + 1, paused + 2} <= run.metric("eval/kl").keys()
    shown = [event["step"] for event in run.of("samples")]
    assert shown[-3:] == [paused, paused + 1, paused + 2]
    assert list(run.metric("loss")) == list(range(1, paused + 3))


def test_a_paused_run_resumes_to_its_end(tmp_path):
    run = commanded(
        tmp_path / "run", configured("dpo", steps=30, eval_every=100), script([PAUSE], [RESUME])
    )
    assert run.status == "finished"
    assert [event["status"] for event in run.of("status")] == [
        "running",
        "paused",
        "running",
        "finished",
    ]
    assert list(run.metric("loss")) == list(range(1, 31))


def test_a_new_beta_reaches_ppo(tmp_path):
    run = Run(tmp_path / "run", configured("ppo", beta=0.5))

    def react(event: dict) -> None:
        if event["kind"] == "metrics" and event["step"] == 2 and "loss" not in event["metrics"]:
            run.control.put({"command": "set", "beta": 2.0})

    run.execute(on_event=react)
    (changed,) = run.of("change")
    assert (changed["step"], changed["settings"]) == (2, {"beta": 2.0})
    estimate, paid = run.metric("objective/kl_estimate"), run.metric("objective/non_score_reward")
    for step, beta in ((2, 0.5), (3, 2.0), (4, 2.0)):
        assert paid[step] == pytest.approx(-beta * estimate[step], abs=1e-6)


@pytest.mark.parametrize("settings", [{"beta": 5.0}, {"learning_rate": 1e-6}])
def test_a_new_setting_reaches_dpo(tmp_path, plain, settings):
    run = Run(tmp_path / "run", configured("dpo"))

    def react(event: dict) -> None:
        if event["kind"] == "samples" and event["step"] == 2:
            run.control.put({"command": "set", **settings})

    run.execute(on_event=react)
    (changed,) = run.of("change")
    assert (changed["step"], changed["settings"]) == (2, settings)
    before, after = plain("dpo").metric("rewards/margins"), run.metric("rewards/margins")
    assert after[2] == before[2]
    if "beta" in settings:
        ratio = 5.0 / configured("dpo").beta
        assert after[3] == pytest.approx(ratio * before[3], rel=1e-3)
    else:
        assert 0 < run.metric("learning_rate")[4] < 1e-6, "it falls to zero over the run"
        assert after[4] != before[4]


@pytest.mark.parametrize("method", METHODS)
def test_a_new_learning_rate_keeps_the_shape_of_the_schedule(tmp_path, method):
    """Warm-up and decay continue; the next update already uses the new learning rate."""
    config = configured(method, steps=8, learning_rate=1e-3)
    run = Run(tmp_path / "run", config)

    def react(event: dict) -> None:
        if event["step"] == 2 and "loss" in event.get("metrics", {}):
            run.control.put({"command": "set", "learning_rate": 4e-3})

    run.execute(on_event=react)
    updates = 4 if method == "ppo" else 1  # per step; the rate of the last one is logged
    warmup = 0 if method in ("sft", "reward") else updates
    for step, rate in run.metric("learning_rate").items():
        before = updates * step - 1  # updates before it
        down = (8 * updates - before) / (8 * updates - warmup)
        shape = before / warmup if before < warmup else down
        assert rate == pytest.approx((1e-3 if step <= 2 else 4e-3) * shape, rel=1e-9)
