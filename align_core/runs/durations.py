"""How long a run will take and how long it still takes, from what runs measured of themselves.

Each step of a run has a `timing/step` and each evaluation a `timing/evaluation`, in seconds. Pauses
and slow motion are part of neither: a run may let a `delay` pass before each step but the first.
Configurations are as in config.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from align_core.runs.events import FINAL, replay

RECENT = 20  # steps; texts grow or shrink in training, and a machine gets other work
PACED = 3  # steps; the delay can be turned at any of them, and is the same after each


@dataclass(frozen=True)
class Speed:
    """Seconds to the first evaluation, for an evaluation, and for a step without delay."""

    start: float
    evaluation: float
    step: float


def speed(events: Iterable[dict[str, Any]]) -> Speed | None:
    """How fast a run is; None before its first step. Medians, of the RECENT steps."""
    measured = [event for event in events if event["kind"] == "metrics"]
    evaluations = [event for event in measured if "timing/evaluation" in event["metrics"]]
    steps = [e["metrics"]["timing/step"] for e in measured if "timing/step" in e["metrics"]]
    if not steps or not evaluations:
        return None
    first = evaluations[0]
    return Speed(
        start=first["seconds"] - first["metrics"]["timing/evaluation"],
        evaluation=median(event["metrics"]["timing/evaluation"] for event in evaluations),
        step=median(steps[-RECENT:]),
    )


def time_needed(config: Mapping[str, Any], known: Speed, delay: float = 0.0) -> float:
    """Seconds that a run will take from its start to its end, at most its time limit."""
    needed = known.start + known.evaluation + _remaining(config, known, delay, done=0)
    return min(needed, config["time_limit"] or needed)


def time_left(config: Mapping[str, Any], events: Iterable[dict[str, Any]]) -> float | None:
    """Seconds that a run still takes at its present pace, as of its last event.

    None before two of its steps have followed each other: they show the pace. `events` are all of
    its log.
    """
    events = replay(events)
    statuses = [event["status"] for event in events if event["kind"] == "status"]
    if statuses and statuses[-1] in FINAL:
        return 0.0
    known, delay = speed(events), _delay(events)
    if known is None or delay is None:
        return None
    left = _remaining(config, known, delay, done=events[-1]["step"])
    if config["time_limit"] is not None:
        left = min(left, max(0.0, config["time_limit"] - events[-1]["seconds"]))
    return left


def _delay(events: Iterable[dict[str, Any]]) -> float | None:
    """Seconds that pass before a step begins: the median of the PACED newest, None without any.

    It is what lies between the end of a step, or of the evaluation after it, and the beginning of
    the next. Where the run was paused or resumed in between, that says nothing of its pace.
    """
    delays: list[float] = []
    free = None  # since when nothing but the delay keeps the next step from beginning
    for event in events:
        metrics = event.get("metrics", {})
        if event["kind"] in ("status", "resume"):
            free = None
        elif "timing/step" in metrics:
            if free is not None:
                delays.append(event["seconds"] - metrics["timing/step"] - free)
            free = event["seconds"]
        elif "timing/evaluation" in metrics and free is not None:
            free = event["seconds"]
    return max(0.0, median(delays[-PACED:])) if delays else None


def _remaining(config: Mapping[str, Any], known: Speed, delay: float, done: int) -> float:
    """Seconds for the steps after step `done`, and for the evaluations after them.

    One is made wherever a step is a multiple of `eval_every`, and one after the last step.
    """
    steps, every = config["steps"], config["eval_every"]
    evaluations = steps // every - done // every
    if steps % every and done < steps:
        evaluations += 1
    delays = steps - max(done, 1)  # none before the first step
    return (steps - done) * known.step + delays * delay + evaluations * known.evaluation
