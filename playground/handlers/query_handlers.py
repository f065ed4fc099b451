"""What handlers of queries have in common: which runs a visitor may query, and the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from align_core.config.errors import ConfigError
from align_core.inference.client import Unanswered
from playground.content import histories
from playground.content.recordings import Recording
from playground.people import log
from playground.people.access import VisibleModels, VisibleRuns
from playground.text import error_messages


class QueryHandlers:
    """Handlers of queries of the runs of `client` and the `recorded` ones, name -> recording.

    `helper` validates the queries of visitors and asks the models of these runs. Errors are in the
    language of `words`.
    """

    def __init__(
        self,
        client: VisibleRuns,
        helper: VisibleModels,
        words: dict[str, Any],
        recorded: Mapping[str, Recording],
    ) -> None:
        self._client, self._helper, self._words = client, helper, words
        self._recorded = recorded

    def _answer(
        self, method: Callable[..., Any], query: Any, names: tuple[str, ...]
    ) -> dict[str, Any]:
        """The result of `method` with the arguments `names`, taken from a visitor's `query`.

        Returns {"answers", "errors"}, one of which is empty.
        """
        query = query if isinstance(query, dict) else {}
        try:
            answers = method(**{name: query.get(name) for name in names})
        except ConfigError as error:
            messages = error.lines
        except Unanswered as error:
            messages = [error.message]
        else:
            return {"answers": answers, "errors": []}
        log.refused("question", next((message.code for message in messages), "") or "invalid")
        errors = [error_messages.translate(message, self._words) for message in messages]
        return {"answers": [], "errors": errors}

    def _knows(self, run: Any) -> TypeGuard[str]:
        """Whether `run` is a recorded run, or one that the visitor may see."""
        return run in self._recorded or self._client.has(run)

    def _config_of(self, run: str) -> Mapping[str, Any]:
        """The configuration of a run, as stored. Raises ConfigError if there is no such run."""
        if run in self._recorded:
            return self._recorded[run].config
        return self._client.stored_config(run)

    def _betas_of(self, run: str) -> histories.History:
        """The history of a run's β. Raises ConfigError if there is no such run."""
        if run in self._recorded:
            return self._recorded[run].histories["beta"]
        return histories.run_history(self._client, run)["beta"]
