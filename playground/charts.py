"""From a run's events to what the page draws: which curves, and what each batch of events adds.

The page keeps what it has been sent and only appends, so a delta is small however long the run.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# The plotly.js that comes with the Python package; importing the package would take half a second.
PLOTLY = Path(importlib.util.find_spec("plotly").origin).parent / "package_data" / "plotly.min.js"

_REWARD = {"id": "reward", "metrics": ["eval/gold_reward", "eval/proxy_reward"]}
_KL = {"id": "kl", "metrics": ["eval/kl"]}
_LOSS = {"id": "loss", "metrics": ["loss"]}

# The charts of each method, left to right, and the metrics that each draws where a run has them.
CHARTS: dict[str, list[dict[str, Any]]] = {
    "sft": [_REWARD, _KL, _LOSS],
    "dpo": [_REWARD, _KL, _LOSS],
    "ppo": [_REWARD, _KL, {"id": "loss", "metrics": ["loss/policy_avg", "loss/value_avg"]}],
    "reward": [
        {"id": "accuracy", "metrics": ["eval/accuracy", "accuracy"]},
        {"id": "margin", "metrics": ["eval/margin", "margin"]},
        _LOSS,
    ],
}

# The gold reward of the reference is a line in the reward chart, and what a gain is counted from.
REFERENCE = "eval/gold_reward_reference"
DRAWN = {metric for charts in CHARTS.values() for chart in charts for metric in chart["metrics"]}
DRAWN.add(REFERENCE)


def delta(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What `events` (in the order of the log) add to a page that has drawn all events before them.

    points:      metric -> [step, value] pairs to append; only metrics that are drawn, and no nulls
    void_after:  step after which everything drawn before is void (the run was resumed), or None
    samples:     the newest samples on the probe prompts, {"step", "rows"}, or None
    status:      the newest status event, or None
    step, seconds: of the newest event, or None
    """
    points: dict[str, list[list[float]]] = {}
    void_after = samples = status = step = seconds = None
    for event in events:
        step, seconds = event.get("step", step), event.get("seconds", seconds)
        match event.get("kind"):
            case "metrics":
                for metric, value in event["metrics"].items():
                    if metric in DRAWN and value is not None:
                        points.setdefault(metric, []).append([event["step"], value])
            case "samples":
                samples = {"step": event["step"], "rows": [_row(s) for s in event["samples"]]}
            case "status":
                status = {"name": event["status"], "message": event.get("message", "")}
            case "resume":
                status = {"name": "running", "message": ""}
                void_after = event["step"] if void_after is None else min(void_after, event["step"])
                points = {
                    metric: [point for point in series if point[0] <= event["step"]]
                    for metric, series in points.items()
                }
    return {
        "points": points,
        "void_after": void_after,
        "samples": samples,
        "status": status,
        "step": step,
        "seconds": seconds,
    }


def _row(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A probe prompt with its two texts, without the tokens, which the page does not show."""
    return {
        "prompt": sample["prompt"],
        "reference": {k: v for k, v in sample["reference"].items() if k != "tokens"},
        "policy": {k: v for k, v in sample["policy"].items() if k != "tokens"},
    }
