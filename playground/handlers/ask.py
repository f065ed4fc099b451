"""Requests of the Try it, Score it, Learn and Rate views."""

from __future__ import annotations

import contextlib
from itertools import islice
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.methods import method_named
from align_core.runs.events import of_kind
from playground.content.realigned import optimum_at
from playground.content.run_list import MAX_LISTED, list_recordings, list_runs
from playground.handlers.query_handlers import QueryHandlers

_GENERATE = ("task", "models", "prompt", "n", "temperature", "seed", "realign")
_SCORE = ("task", "model", "reference", "prompt", "completions")


class AskHandlers(QueryHandlers):
    """Handlers of these views."""

    def runs(self, task: Any) -> list[dict[str, Any]]:
        """The newest runs on `task` that finished or stopped and have a model, newest first; then
        the recorded ones with a model."""
        recorded = list_recordings(self._recorded, task, self._words)
        return [*self._own_runs(task), *(run for run in recorded if run["model"])]

    def _own_runs(self, task: Any) -> list[dict[str, Any]]:
        runs = list_runs(self._client, task, with_model=True)
        ended = (run for run in runs if run["status"] in ("finished", "stopped"))
        return list(islice(ended, MAX_LISTED))

    def newest_run(self, query: Any) -> dict[str, Any] | None:
        """The newest run whose numbers can be put into a method's equations: {"run", "token"}.

        `query` is {"task", "method"}. For a method that learns from rollouts, this is the newest
        run, live or not, that has logged a `token` event (docs/metrics.md). For any other, it is
        the newest that ended with a model, and `token` is None. None if there is no such run.
        """
        query = query if isinstance(query, dict) else {}
        task, name = query.get("task"), query.get("method")
        method = method_named(name)
        if method is None or method.learns_from != "rollouts":
            runs = (run for run in self._own_runs(task) if run["method"] == name)
            return next(({"run": run, "token": None} for run in runs), None)
        runs = (run for run in list_runs(self._client, task) if run["method"] == name)
        tokens = ((run, self._last_token(run["run"])) for run in islice(runs, MAX_LISTED))
        return next(({"run": run, "token": token} for run, token in tokens if token), None)

    def _last_token(self, run: str) -> dict[str, Any] | None:
        tokens = of_kind(self._client.events(run)[0], "token")
        return tokens[-1]["token"] if tokens else None

    def generate(self, query: Any) -> dict[str, Any]:
        """Completions of a prompt by the chosen models: `InferenceClient.generate`.

        The answer of a run's model also has an `optimum`: `optimum_at`, with `realign` as λ.
        """
        reply = self._answer(self._helper.generate, query, _GENERATE)
        for answer in reply["answers"]:
            run = answer["model"]
            if self._knows(run):
                answer["optimum"] = self._optimum(run, query.get("realign"))
        return reply

    def _optimum(self, run: str, share: float | None) -> dict[str, Any] | None:
        with contextlib.suppress(ConfigError):  # deleted since
            share = 1.0 if share is None else share
            return optimum_at(self._config_of(run), self._betas_of(run), share)
        return None

    def score(self, query: Any) -> dict[str, Any]:
        """Rewards and log-probabilities of completions: `InferenceClient.score`."""
        return self._answer(self._helper.score, query, _SCORE)
