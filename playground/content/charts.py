"""From a run's events to what the page draws: which curves, and what each batch of events adds.

The page keeps what it has been sent and only appends, so a delta is small however long the run.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from align_core.config.messages import from_event, in_event
from align_core.config.methods import methods
from align_core.runs import events as log

# The plotly.js that comes with the Python package; importing the package would take half a second.
PLOTLY = Path(importlib.util.find_spec("plotly").origin).parent / "package_data" / "plotly.min.js"


def _drawn(below: bool) -> dict[str, list[dict[str, Any]]]:
    """Of each method the charts in one of the two places, as charts.js takes them."""
    return {
        name: [asdict(chart) for chart in method.charts if chart.below == below]
        for name, method in methods().items()
    }


# The charts of each method that stand beside the frontier, and its own curves, below the texts.
BESIDE, BELOW = _drawn(below=False), _drawn(below=True)

# Not curves of their own: a line in the reward chart, the height of a run's trail, and what the
# sentences are made from.
REFERENCE, GAIN, EFFICIENCY = (
    "eval/gold_reward_reference",
    "eval/gain",
    "eval/frontier_efficiency",
)
CURVES = {
    curve.metric
    for method in methods().values()
    for chart in method.charts
    for curve in chart.curves
}
DRAWN = CURVES | {REFERENCE, GAIN, EFFICIENCY}


def delta(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What `events` (in the order of the log) add to a page that has drawn all events before them.

    points:      metric -> [step, value] pairs to append; only metrics that are drawn, and no nulls
    samples:     the answers to the probe prompts, [{"step", "rows"}, …], to append
    changes:     settings that were turned, [{"step", "settings"}, …], to append
    void_after:  step after which everything drawn before is void (the run was resumed), or None
    status:      the newest status event, or None
    step, seconds: of the newest event, or None
    """
    counted = log.replay(events)
    status, last = log.status(counted), counted[-1] if counted else {}
    return {
        "points": {
            metric: [list(point) for point in points]
            for metric, points in log.series(counted).items()
            if metric in DRAWN
        },
        "samples": [
            {"step": event["step"], "rows": [_row(sample) for sample in event["samples"]]}
            for event in log.of_kind(counted, "samples")
        ],
        "changes": [
            {"step": event["step"], "settings": event["settings"]}
            for event in log.of_kind(counted, "change")
        ],
        "void_after": min((e["step"] for e in log.of_kind(counted, "resume")), default=None),
        "status": status and {"name": status["status"], **in_event(from_event(status))},
        "step": last.get("step"),
        "seconds": last.get("seconds"),
    }


def _row(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A probe prompt with its two texts, to as many digits as are shown."""
    tokens = [
        {
            "text": token["text"],
            "logp": round(token["logp"], 3),
            "ref_logp": round(token["ref_logp"], 3),
        }
        for token in sample["policy"]["tokens"]
    ]
    return {
        "prompt": sample["prompt"],
        "reference": sample["reference"],
        "policy": {**sample["policy"], "tokens": tokens},
    }
