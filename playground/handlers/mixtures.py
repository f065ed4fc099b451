"""Evaluations of mixtures of an ended run's policy with its reference."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from align_core.config.errors import ConfigError
from align_core.runs import events as log
from playground.content import charts, histories
from playground.content.realigned import beta_at
from playground.handlers.query_handlers import QueryHandlers

SHARES = tuple(0.25 * quarter for quarter in range(9))  # λ: the values of the slider
# The settings that two runs must share if one of them is compared with a mixture of the other.
_ALIKE = ("task", "model", "method", "loss")
_KL, _GAIN = "eval/kl", "eval/gain"


class MixtureHandlers(QueryHandlers):
    """Handlers of these evaluations."""

    def mixture(self, query: Any) -> dict[str, Any]:
        """The evaluation of the mixture in a query, {"run", "share"}: `InferenceClient.mixture`.

        The answer is {"answers", "errors"}, and its answers are:

        kl, gain: of the mixture; a gain of 1 is the `full_gain` of `Optimum.frontier`
        rows:     the samples, each as `charts.row`
        beta:     β/λ, or None (`beta_at`)
        trained:  the last {"kl", "gain"} of a finished run at this β/λ with the same task, model,
                  method and loss; None if there is none
        """
        query = query if isinstance(query, dict) else {}
        arguments = {"model": query.get("run"), "share": query.get("share")}
        reply = self._answer(self._helper.mixture, arguments, ("model", "share"))
        if reply["errors"]:
            return reply
        measured, run = reply["answers"], arguments["model"]
        beta = trained = None
        with contextlib.suppress(ConfigError):  # deleted since
            config = self._config_of(run)
            beta = beta_at(config, self._betas_of(run), arguments["share"])
            trained = None if beta is None else self._trained(config, beta)
        rows = [charts.row(sample) for sample in measured["samples"]]
        numbers = {name: measured[name] for name in ("kl", "gain")}
        return {**reply, "answers": {**numbers, "rows": rows, "beta": beta, "trained": trained}}

    def _trained(self, config: Mapping[str, Any], beta: float) -> dict[str, Any] | None:
        for other, events in self._logs(config, beta):
            status = log.status(events)
            has_one_beta = len(histories.history(other, events)["beta"]) == 1
            measured = [event["metrics"] for event in log.of_kind(events, "metrics")]
            ends = [numbers for numbers in measured if numbers.get(_GAIN) is not None]
            if status and status["status"] == "finished" and has_one_beta and ends:
                return {"kl": ends[-1][_KL], "gain": ends[-1][_GAIN]}
        return None

    def _logs(
        self, config: Mapping[str, Any], beta: float
    ) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """The configuration and events of each run with this `beta` that has the `_ALIKE` settings
        of `config`: the visitor's own runs, newest first, then the recorded ones."""
        for run in self._client.runs():
            with contextlib.suppress(ConfigError):  # deleted or damaged since it was listed
                if _is_alike(other := self._client.stored_config(run), config, beta):
                    yield other, self._client.events(run)[0]
        for recording in self._recorded.values():
            if _is_alike(recording.config, config, beta):
                yield recording.config, recording.events


def _is_alike(other: Mapping[str, Any], config: Mapping[str, Any], beta: float) -> bool:
    alike = all(other[name] == config[name] for name in _ALIKE)
    return alike and bool(other["beta"]) and math.isclose(other["beta"], beta, rel_tol=0.01)
