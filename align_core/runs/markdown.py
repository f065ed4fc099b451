"""Runs in Markdown: their results, and untrusted text."""

from __future__ import annotations

import html
import re
from typing import Any

from align_core.runs.commands import visible

_MAX_CHARACTERS = 100
_METRICS = {
    "gold_reward": "gold reward, nats",
    "gold_reward_reference": "gold reward of the reference, nats",
    "proxy_reward": "proxy reward minus that of the reference, nats",
    "kl": "KL from the reference, nats",
    "win_rate": "win rate against the reference",
    "gain": "gain, as a share of the optimum's gain at a KL of 2 nats, or less if samples are few",
    "frontier_efficiency": "frontier efficiency: gain, as a share of the optimum's gain at this KL",
    "length": "length, tokens",
    "accuracy": "accuracy on pairs, against the gold reward",
    "margin": "margin for the better text, nats",
}


def results(steps: int, points: dict[str, list[tuple[int, float]]]) -> str:
    """The last value of each metric of the evaluations, with its 95% interval if there is one."""
    last = {name: points[f"eval/{name}"][-1] for name in _METRICS if f"eval/{name}" in points}
    if not last:
        return "## Results\n\nThe run was not evaluated."
    step = max(step for step, _ in last.values())
    rows = {}
    for name, (measured_at, value) in last.items():
        interval = points.get(f"eval/{name}_ci95", [(0, None)])[-1]
        has_interval = interval == (measured_at, interval[1]) and interval[1] is not None
        if measured_at == step:  # an older value belongs to an earlier state of the model
            rows[_METRICS[name]] = f"{value:.3f}" + (
                f" ± {interval[1]:.3f}" if has_interval else ""
            )
    return (
        f"## Results\n\nAt step {step} of {steps}, on the probe prompts of the run, "
        f"with texts sampled at temperature 1:\n\n| | |\n| --- | --- |\n{rows_of(rows)}"
    )


def rows_of(cells: dict[str, Any]) -> str:
    """The rows of a table, without those whose value is None."""
    return "\n".join(f"| {name} | {value} |" for name, value in cells.items() if value is not None)


def escaped(text: str) -> str:
    """Untrusted text, escaped for Markdown: one short line without markup or HTML."""
    line = visible(text)
    line = line if len(line) <= _MAX_CHARACTERS else line[: _MAX_CHARACTERS - 1] + "…"
    return re.sub(r"""([!"#$%()*+.:=?@\[\\\]^_`{|}~])""", r"\\\1", html.escape(line, quote=False))
