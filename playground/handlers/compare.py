"""Requests of the Compare view: several runs side by side, and their differences."""

from __future__ import annotations

import contextlib
from itertools import islice
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.task_card import card
from align_core.runs.directory import RunDirectory
from playground.content import charts, optimum
from playground.content.comparisons import (
    changes_and_evaluations,
    differences,
    last_numbers,
    number_rows,
    read_log,
)
from playground.content.histories import History, history
from playground.content.new_events import Cursor, translated_delta
from playground.content.run_list import (
    MAX_LISTED,
    has_model,
    identifying_settings,
    list_recordings,
    list_runs,
)
from playground.handlers import form
from playground.handlers.query_handlers import QueryHandlers

MAX_RUNS = 4  # compared at once
MAX_SEARCH_LENGTH = 100  # characters of a search, which looks for each word in each run
# The metrics that are drawn, each in a chart of its own.
CURVES = ("eval/gold_reward", "eval/proxy_reward", "eval/kl", "eval/accuracy", "eval/margin")


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
        settings:  `differences`, with models named as the controls of Train name them
        numbers:   `number_rows`

        Unknown runs, and those beyond MAX_RUNS, are left out.
        """
        cursors = cursors if isinstance(cursors, list) else []
        runs = []
        for cursor in map(Cursor.of, cursors[:MAX_RUNS]):
            with contextlib.suppress(ConfigError):  # deleted meanwhile
                if self._knows(cursor.run):
                    runs.append(self._update(cursor.run, cursor.offset or 0))
        logs = [self._log(run["run"]) for run in runs]
        histories = [history(run["config"], log) for run, log in zip(runs, logs, strict=True)]
        numbers = [
            last_numbers(log, optimum.full_gain(self._config_of(run["run"])))
            for run, log in zip(runs, logs, strict=True)
        ]
        references = {run["config"]["model"] for run in runs}
        return {
            "runs": [
                run | identifying_settings(settings)
                for run, settings in zip(runs, histories, strict=True)
            ],
            "settings": differences([self._labelled(settings) for settings in histories]),
            "numbers": number_rows(numbers, one_reference=len(references) == 1),
        }

    def head_to_head(self, query: Any) -> dict[str, Any]:
        """Win rates of runs against each other: `InferenceClient.head_to_head`."""
        names = ("task", "models", "n", "seed")
        return self._answer(self._helper.head_to_head, query, names)

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

    def _labelled(self, settings: dict[str, History]) -> dict[str, History]:
        """The histories, with models named as the controls of Train name them."""
        ((_, task),) = settings["task"]
        if card(task) is None:  # of a run that was made elsewhere
            return settings
        return settings | {
            name: [
                [step, form.model_label(name, model, task, self._words)]
                for step, model in settings[name]
            ]
            for name in form.MODELS
        }

    def _log(self, run: str) -> tuple[dict[str, Any], ...]:
        if run in self._recorded:
            return changes_and_evaluations(self._recorded[run].events)
        directory = RunDirectory(self._client.root / run)
        return read_log(directory.path, directory.size())
