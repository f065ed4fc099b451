"""The data of the charts: which curves a method has, and what new events add to them.

The page keeps what it has received and appends to it, so a delta stays small in a long run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from align_core.config.messages import from_event, to_event
from align_core.config.methods import methods
from align_core.runs import events as log

# The plotly.js in the Python package; importing the package would take half a second.
PLOTLY = Path(str(distribution("plotly").locate_file("plotly/package_data/plotly.min.js")))


def _charts(below: bool) -> dict[str, list[dict[str, Any]]]:
    """The charts of each method beside the frontier or `below` the sample texts, for charts.js."""
    return {
        name: [asdict(chart) for chart in method.charts if chart.below == below]
        for name, method in methods().items()
    }


BESIDE, BELOW = _charts(below=False), _charts(below=True)

# Metrics without a curve: a line in the reward chart, the height of a run in the frontier chart,
# the efficiency that the readings need, and, in LEARNED, the place of the learned reward's optimum.
REFERENCE, GAIN, EFFICIENCY = (
    "eval/gold_reward_reference",
    "eval/gain",
    "eval/frontier_efficiency",
)
LEARNED = {"eval/learned_optimum_above_reference", "eval/learned_optimum_kl"}
CURVES = {
    curve.metric
    for method in methods().values()
    for chart in method.charts
    for curve in chart.curves
}
PART = "reward/"  # begins the metrics of the terms of a gold reward that is a sum: reward/NAME
DRAWN = CURVES | {REFERENCE, GAIN, EFFICIENCY} | LEARNED


def delta(events: Iterable[log.Event]) -> dict[str, Any]:
    """The additions of `events`, in log order, to a page that has all events before them.

    points:      metric -> [step, value] pairs to append, without nulls; only of metrics that are
                 DRAWN or begin with PART
    samples:     completions of the probe prompts to append, [{"step", "rows"}, …]
    changes:     settings changed in the live run, to append, [{"step", "settings"}, …]
    void_after:  if the run was resumed, the step after which the page's points are void; or None
    status:      the newest status event, or None
    phase:       the newest phase event; None if there is none, or if a status came after it
    written:     the newest phase event with a text, or None
    learnt:      the example in the newest example event, or None
    distance:    the distance in the newest distance event, or None
    step, seconds: of the newest event, or None
    """
    events = log.replay(events)
    status, last = log.status(events), events[-1] if events else {}
    activity = next(
        (e for e in reversed(events) if e["kind"] in ("phase", "status")), {"kind": None}
    )
    texts = [event for event in log.of_kind(events, "phase") if event.get("text")]
    examples, distances = (log.of_kind(events, kind) for kind in ("example", "distance"))
    return {
        "points": {
            metric: [list(point) for point in points]
            for metric, points in log.series(events).items()
            if metric in DRAWN or metric.startswith(PART)
        },
        "samples": [
            {"step": event["step"], "rows": [row(sample) for sample in event["samples"]]}
            for event in log.of_kind(events, "samples")
        ],
        "changes": [
            {"step": event["step"], "settings": event["settings"]}
            for event in log.of_kind(events, "change")
        ],
        "void_after": min((e["step"] for e in log.of_kind(events, "resume")), default=None),
        "status": status and {"name": status["status"], **to_event(from_event(status))},
        "phase": activity if activity["kind"] == "phase" else None,
        "written": texts[-1] if texts else None,
        "learnt": examples[-1]["example"] if examples else None,
        "distance": distances[-1]["distance"] if distances else None,
        "step": last.get("step"),
        "seconds": last.get("seconds"),
    }


def row(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A probe prompt with the texts of reference and policy; log-probabilities are rounded to the
    digits shown."""
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
