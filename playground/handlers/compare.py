"""Requests of the Compare view: several runs side by side, and their differences."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.run_config import RunConfig
from align_core.runs.directory import RunDirectory
from align_core.runs.events import replay
from playground.content import charts, optimum
from playground.content.histories import History, history
from playground.content.run_list import (
    MAX_LISTED,
    has_model,
    identifying_settings,
    list_recordings,
    list_runs,
)
from playground.handlers.new_events import translated_delta, valid_cursor
from playground.handlers.query_handlers import QueryHandlers

MAX_RUNS = 4  # compared at once
MAX_SEARCH_LENGTH = 100  # characters of a search, which looks for each word in each run
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
CURVES = (_GOLD, "eval/proxy_reward", _KL, "eval/accuracy", "eval/margin")  # one chart for each


class CompareHandlers(QueryHandlers):
    """Handlers of the Compare view."""

    def runs(self, query: Any) -> list[dict[str, Any]]:
        """The newest runs on a task, live or ended, newest first; then the recorded ones.

        `query` is {"task", "sought"}; `sought` are the words to search for (`run_list.matches`).
        """
        query = query if isinstance(query, dict) else {}
        task, search = query.get("task"), str(query.get("sought", ""))[:MAX_SEARCH_LENGTH]
        own_runs = islice(list_runs(self._client, task, search), MAX_LISTED)
        return [*own_runs, *list_recordings(self._recorded, task, self._words, search)]

    def compare(self, cursors: Any) -> dict[str, Any]:
        """The events of runs after `cursors`, [{"run", "offset"}, …], and the runs' differences.

        runs:      for each run a new cursor, its `config`, its `run_list.identifying_settings`,
                   whether it has a `model`, and `charts.delta` limited to the CURVES and the last
                   samples
        settings:  `differences`
        numbers:   `number_rows`

        Unknown runs, and those beyond MAX_RUNS, are left out.
        """
        cursors = cursors if isinstance(cursors, list) else []
        cursors = [valid_cursor(cursor) for cursor in cursors if isinstance(cursor, dict)]
        runs = []
        for cursor in cursors[:MAX_RUNS]:
            with contextlib.suppress(ConfigError):  # deleted meanwhile
                if self._is_known(cursor["run"]):
                    runs.append(self._update(cursor["run"], cursor["offset"] or 0))
        logs = [self._log(run["run"]) for run in runs]
        histories = [history(run["config"], log) for run, log in zip(runs, logs, strict=True)]
        numbers = [
            last_numbers(log, optimum.full_gain(self._config(run["run"])))
            for run, log in zip(runs, logs, strict=True)
        ]
        references = {run["config"]["model"] for run in runs}
        return {
            "runs": [
                run | identifying_settings(settings)
                for run, settings in zip(runs, histories, strict=True)
            ],
            "settings": differences(histories),
            "numbers": number_rows(numbers, one_reference=len(references) == 1),
        }

    def head_to_head(self, query: Any) -> dict[str, Any]:
        """Win rates of runs against each other: `InferenceClient.head_to_head`."""
        names = ("task", "models", "n", "seed")
        return self._answer(self._helper.head_to_head, query, names)

    def _is_known(self, run: Any) -> bool:
        return run in self._recorded or self._client.has(run)

    def _update(self, run: str, start: int) -> dict[str, Any]:
        if run in self._recorded:
            recording = self._recorded[run]
            config, model = recording.config, recording.has_model
            events, end = recording.events[start:], len(recording.events)
        else:
            self._client.status(run)  # appends a final status if the run's process is gone
            config, model = self._client.config(run), has_model(self._client, run)
            events, end = self._client.events(run, start)
        delta = translated_delta(events, self._words)
        points = delta["points"]
        return {
            "run": run,
            "offset": end,
            "config": config,
            "model": model,
            **delta,
            "points": {name: points[name] for name in (*CURVES, charts.GAIN) if name in points},
            "samples": delta["samples"][-1:],
        }

    def _config(self, run: str) -> Mapping[str, Any]:
        """The configuration as it is stored."""
        if run in self._recorded:
            return self._recorded[run].config
        return self._client.stored_config(run)

    def _log(self, run: str) -> tuple[dict[str, Any], ...]:
        if run in self._recorded:
            return _changes_and_evaluations(self._recorded[run].events)
        directory = RunDirectory(self._client.root / run)
        return _read(str(directory.path), directory.size())


@lru_cache(maxsize=32)
def _read(path: str, size: int) -> tuple[dict[str, Any], ...]:
    """The changes and evaluations of a log. `size`, its bytes, makes the cache read a longer log
    again."""
    return _changes_and_evaluations(RunDirectory(path).events()[0])


def _changes_and_evaluations(events: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
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
