"""Comparisons of runs: their settings, and the numbers of their last evaluations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from align_core.config.run_config import RunConfig
from align_core.runs.directory import RunDirectory
from align_core.runs.events import replay
from playground.content.histories import History

ABOVE = "above the reference"  # the gain in gold reward, in nats, which no run logs
_GOLD, _REFERENCE, _KL = "eval/gold_reward", "eval/gold_reward_reference", "eval/kl"
_GAIN = "eval/gain"
# The numbers of each run's last evaluation that are compared. Larger is better for all but KL,
# which is a cost, and is low if nothing was gained.
NUMBERS = (
    _GOLD,
    ABOVE,
    _KL,
    _GAIN,
    "eval/frontier_efficiency",
    "eval/win_rate",
    "eval/accuracy",
    "eval/margin",
)
# Numbers relative to a run's reference: runs with different references cannot be ranked by them.
_RELATIVE = {ABOVE, _KL, _GAIN, "eval/frontier_efficiency", "eval/win_rate"}


@lru_cache(maxsize=32)
def read_log(path: Path, size: int) -> tuple[dict[str, Any], ...]:
    """`changes_and_evaluations` of the log in a run directory.

    `size`, its bytes, makes the cache read a longer log again.
    """
    return changes_and_evaluations(RunDirectory(path).events()[0])


def changes_and_evaluations(events: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """The events of changed settings, and those with any of the NUMBERS."""
    return tuple(
        event
        for event in replay(events)
        if event["kind"] == "change" or event.get("metrics", {}).keys() & set(NUMBERS)
    )


def differences(histories: Sequence[Mapping[str, History]]) -> list[dict[str, Any]]:
    """The settings in which runs differ: {"setting", "values"}, a history for each run."""
    rows = [
        {"setting": name, "values": [settings[name] for settings in histories]}
        for name in RunConfig.model_fields
        if histories
    ]
    return [row for row in rows if any(value != row["values"][0] for value in row["values"])]


def last_numbers(
    events: Iterable[Mapping[str, Any]], full_gain: float | None = None
) -> dict[str, float]:
    """The NUMBERS of a run's last evaluation; missing ones are left out.

    With `full_gain` (`optimum.full_gain`), ABOVE is computed from the gain, as the frontier chart
    shows it.
    """
    metrics = [event["metrics"] for event in events if event["kind"] == "metrics"]
    evaluations = [values for values in metrics if values.keys() & set(NUMBERS)]
    if not evaluations:
        return {}
    last = {name: value for name, value in evaluations[-1].items() if value is not None}
    if full_gain is not None and _GAIN in last:
        last[ABOVE] = last[_GAIN] * full_gain
    elif {_GOLD, _REFERENCE} <= last.keys():
        last[ABOVE] = last[_GOLD] - last[_REFERENCE]
    return {name: last[name] for name in NUMBERS if name in last}


def number_rows(
    numbers: Sequence[Mapping[str, float]], one_reference: bool
) -> list[dict[str, Any]]:
    """The numbers of runs as rows {"number", "values", "best"}, with a value or None for each run.

    `best` lists the indices of the best value. It is empty for KL, for a number that is the same in
    all runs or that only one run has, and, unless all runs have `one_reference`, for a number that
    is relative to the reference.
    """
    rows = []
    for name in NUMBERS:
        values = [run.get(name) for run in numbers]
        known = [value for value in values if value is not None]
        if not known:
            continue
        comparable = name != _KL and (one_reference or name not in _RELATIVE)
        best = max(known) if comparable and len(set(known)) > 1 else None
        indices = [i for i, value in enumerate(values) if value is not None and value == best]
        rows.append({"number": name, "values": values, "best": indices})
    return rows
