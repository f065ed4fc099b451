"""A task and models small enough to train whole runs in a test, and the runs."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch

from align_core.config.methods import methods
from align_core.config.run_config import RunConfig, resolve
from align_core.models.loading import load_policy, load_reward_model
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory
from align_core.tasks import Task
from align_core.training.run import run as execute

METHODS = ["sft", "reward", "ppo", "dpo"]
PAUSE, RESUME, STEP, STOP = ({"command": name} for name in ("pause", "resume", "step", "stop"))


class Films(Task):
    """The toy language as a task, in which raters prefer the word "good"."""

    name, reference, reward_model = "reviews", "sft-reviews", "reward-reviews"
    max_new_tokens = 6

    def group(self, prompt: str) -> str:
        return "story" if "plot" in prompt else "film"

    def prompts(self, split: str) -> list[str]:
        return {
            "train": ["the film", "a plot", "the plot was never", "never"],
            "probe": ["a film", "the plot"],
            "heldout": ["the", "a"],
        }[split]

    def demonstrations(self, n: int, seed: int) -> list[dict]:
        rng = random.Random(seed)
        says = (" was good .", " is fine .", " was never dull .")
        return [{"prompt": "the film", "completion": rng.choice(says)} for _ in range(n)]

    def reward(
        self, prompts, completions, completion_ids=None, ended=None, eos_token_id=0, **_
    ) -> list[float]:
        if completion_ids is not None:
            ended = [ids[-1] == eos_token_id for ids in completion_ids]
        return [
            1.5 * text.split().count("good") - text.split().count("bad") - 2.0 * (not whole)
            for text, whole in zip(completions, ended, strict=True)
        ]


def configured(method: str, **changes) -> RunConfig:
    has_pairs = "preference_pairs" in methods()[method].options
    pairs = {"preference_pairs": 64} if has_pairs else {}
    return resolve(
        method,
        "reviews",
        **{"steps": 4, "batch_size": 16, "eval_every": 2, **pairs, **changes},
    )


class Run:
    """A run in a folder, with its `events` and its final `status`."""

    def __init__(self, path, config: RunConfig) -> None:
        self.path, self.control = path, Control()
        self.directory = RunDirectory.create(path, config)

    def execute(self, on_event: Callable | None = None, resume: bool = False) -> Run:
        try:
            self.status = execute(
                self.directory.config, self.directory, self.control, resume, on_event
            )
        finally:
            self.directory.close()
        return self

    @property
    def events(self) -> list[dict]:
        return RunDirectory.open(self.path).events()[0]

    def of(self, kind: str) -> list[dict]:
        return [event for event in self.events if event["kind"] == kind]

    def metric(self, name: str) -> dict[int, float]:
        """The values of one metric by step."""
        return {
            event["step"]: event["metrics"][name]
            for event in self.of("metrics")
            if name in event["metrics"]
        }

    def weights(self) -> dict[str, torch.Tensor]:
        return load_policy(str(self.path)).state_dict()


def finished(path, method: str, **changes) -> Run:
    run = Run(path, configured(method, **changes)).execute()
    assert run.status == "finished"
    return run


def timeless(events: list[dict]) -> list[dict]:
    """Events without the values that depend on the clock."""
    kept = []
    for event in events:
        event = {key: value for key, value in event.items() if key != "seconds"}
        if event["kind"] == "metrics":
            event["metrics"] = {
                name: value
                for name, value in event["metrics"].items()
                if not name.startswith("timing/")
            }
        kept.append(event)
    return kept


class Killed(BaseException):
    """Raised where the process of a run would be killed."""


def stopped(path, config: RunConfig, at: int, on_event: Callable = lambda *_: None) -> Run:
    """Stop a run after the metrics of step `at`."""
    run = Run(path, config)

    def stop(event: dict) -> None:
        on_event(run, event)
        if event["step"] == at and "loss" in event.get("metrics", {}):
            run.control.put(STOP)

    run.execute(on_event=stop)
    assert run.status == "stopped"
    return run


def killed(path, config: RunConfig, at: int, on_event: Callable = lambda *_: None) -> Run:
    """Start a run and kill it after the metrics of step `at`."""
    run = Run(path, config)

    def kill(event: dict) -> None:
        on_event(run, event)
        if event["step"] == at and "loss" in event.get("metrics", {}):
            raise Killed

    with pytest.raises(Killed):
        run.execute(on_event=kill)
    return run


def same_weights(method: str, one: Run, other: Run) -> bool:
    load = load_reward_model if method == "reward" else load_policy
    a, b = (load(str(run.path)).state_dict() for run in (one, other))
    return all(torch.equal(a[name], b[name]) for name in a)
