"""The duration of a run, and the time it has left, from the timings in the logs of runs.

Each step has a `timing/step` and each evaluation a `timing/evaluation`, in seconds. Neither
includes pauses, nor the `delay` that passes before every step but the first. Configurations are
dicts as in config.json.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from statistics import median
from typing import Any

from align_core.config.model_size import distance_texts
from align_core.runs.events import FINAL, replay

RECENT = 20  # steps; older ones had texts of other lengths, and the machine had another load
DELAY_STEPS = 3  # the current delay is the median over this many of the newest steps


@dataclass(frozen=True)
class Speed:
    """How long the parts of a run take, in seconds.

    `start` is the time before the first evaluation, without the sampling of preference pairs, which
    takes `pair` for each pair. `evaluation` is for one evaluation, and `step` for one step without
    its delay.
    """

    start: float
    evaluation: float
    step: float
    pair: float = 0.0

    def slowed(self, times: float) -> Speed:
        """The speed of a machine that takes this many times as long."""
        return Speed(*(times * seconds for seconds in astuple(self)))


def speed(events: Iterable[dict[str, Any]]) -> Speed | None:
    """The speed of a run: medians over its evaluations and its RECENT newest steps; None until it
    has made a step."""
    events = list(events)
    measured = [event for event in events if event["kind"] == "metrics"]
    evaluations = [e for e in measured if e["metrics"].get("timing/evaluation") is not None]
    steps = [event["metrics"].get("timing/step") for event in measured]
    steps = [seconds for seconds in steps if seconds is not None]
    if not steps or not evaluations:
        return None
    first = evaluations[0]
    pair, pairs = _sampling(events)
    return Speed(
        start=first["seconds"] - first["metrics"]["timing/evaluation"] - pair * pairs,
        pair=pair,
        evaluation=median(event["metrics"]["timing/evaluation"] for event in evaluations),
        step=median(steps[-RECENT:]),
    )


def shortest_evaluation(events: Iterable[dict[str, Any]]) -> float:
    """Seconds of the shortest evaluation; infinite if there is none."""
    measured = [event["metrics"] for event in events if event["kind"] == "metrics"]
    seconds = (metrics.get("timing/evaluation") for metrics in measured)
    return min((value for value in seconds if value is not None), default=math.inf)


def time_needed(config: Mapping[str, Any], speed: Speed, delay: float = 0.0) -> float:
    """Seconds that a whole run will take at this speed, at most its time limit."""
    pairs = speed.pair * (config.get("preference_pairs") or 0)
    needed = speed.start + pairs + speed.evaluation + _remaining(config, speed, delay, done=0)
    return min(needed, config["time_limit"] or needed)


def time_left(config: Mapping[str, Any], events: Iterable[dict[str, Any]]) -> float | None:
    """Seconds from the last event of a run to its end, at its current speed and delay.

    `events` is its complete log. None until two steps have followed each other without a pause,
    because until then the delay is unknown.
    """
    valid = replay(events)
    statuses = [event["status"] for event in valid if event["kind"] == "status"]
    if statuses and statuses[-1] in FINAL:
        return 0.0
    current, delay = speed(valid), _delay(valid)
    if current is None or delay is None:
        return None
    left = _remaining(config, current, delay, done=valid[-1]["step"])
    if config["time_limit"] is not None:
        left = min(left, max(0.0, config["time_limit"] - valid[-1]["seconds"]))
    return left


def _sampling(events: Iterable[dict[str, Any]]) -> tuple[float, int]:
    """Seconds for each preference pair that a run sampled, and the number of pairs; 0 and 0 if it
    sampled none, or too few to measure."""
    counts = [
        (event["seconds"], event["cause"]["values"]["done"])
        for event in events
        if event["kind"] == "status" and event.get("cause", {}).get("kind") == "sampling"
    ]
    if len(counts) < 2 or counts[0][1] == counts[-1][1]:
        return 0.0, 0
    (began, first), (ended, last) = counts[0], counts[-1]
    return (ended - began) / (last - first), last


def _delay(events: Iterable[dict[str, Any]]) -> float | None:
    """Seconds that pass before a step begins: the median of the DELAY_STEPS newest, or None.

    A delay lies between the end of a step, or of the evaluation after it, and the start of the next
    step. Steps before which the run was paused or resumed do not count.
    """
    delays: list[float] = []
    delay_start = None  # when the delay before the next step began, in seconds
    for event in events:
        metrics = event.get("metrics", {})
        if event["kind"] in ("status", "resume"):
            delay_start = None
        elif metrics.get("timing/step") is not None:
            if delay_start is not None:
                delays.append(event["seconds"] - metrics["timing/step"] - delay_start)
            delay_start = event["seconds"]
        elif metrics.get("timing/evaluation") is not None and delay_start is not None:
            delay_start = event["seconds"]
    return max(0.0, median(delays[-DELAY_STEPS:])) if delays else None


def _remaining(config: Mapping[str, Any], speed: Speed, delay: float, done: int) -> float:
    """Seconds for the steps after step `done` and their evaluations.

    There is an evaluation after every multiple of `eval_every` and after the last step. Measuring
    the distance from the optimum takes as long as evaluations that sample as many texts.
    """
    steps, every = config["steps"], config["eval_every"]
    evaluations: float = steps // every - done // every
    if steps % every and done < steps:
        evaluations += 1
    if texts := distance_texts(config):
        evaluations += 2 * texts / config["eval_samples"]
    delays = steps - max(done, 1)  # none before the first step
    return (steps - done) * speed.step + delays * delay + evaluations * speed.evaluation
