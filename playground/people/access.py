"""Access to the runs and models that one visitor may see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from align_core.inference.client import InferenceClient
from align_core.runs.client import Client
from playground.people.visitors import Visitor, Visitors

MAX_MODELS = 4  # models of a query that are checked here; the client refuses a query with more


class VisibleRuns:
    """Read access to the runs of `client`; `runs` lists only those that the visitor may see."""

    def __init__(self, client: Client, visitors: Visitors, visitor: Visitor) -> None:
        self._visitors = visitors
        self._visitor = visitor
        self.root: Path = client.root
        self._client = client
        self.stored_config = client.config
        self.status = client.status
        self.events = client.events

    def config(self, run: str) -> dict[str, Any]:
        """The configuration of a run, as the visitor's page gets it."""
        return self._visitors.page_config(self._visitor, self._client.config(run))

    def has(self, run: Any) -> bool:
        """Whether `run` is one of the `runs`."""
        return self._visitors.may_see(self._visitor, run)

    def runs(self) -> list[str]:
        """The names of the runs that the visitor may see, newest first."""
        return self._visitors.runs(self._visitor)


class VisibleModels:
    """The queries of `helper`, restricted to embedded and recorded models, and runs that the
    visitor may see.

    The methods have the arguments and results of the `InferenceClient` methods of the same name.
    They raise ConfigError for a run that the visitor may not see, and Unanswered if the visitor has
    too many queries in progress.
    """

    def __init__(self, helper: InferenceClient, visitors: Visitors, visitor: Visitor) -> None:
        self._helper = helper
        self._visitors = visitors
        self._visitor = visitor

    def generate(self, **arguments: Any) -> list[dict[str, Any]]:
        return self._query(self._helper.generate, arguments)

    def score(self, **arguments: Any) -> list[dict[str, Any]]:
        return self._query(self._helper.score, arguments)

    def head_to_head(self, **arguments: Any) -> dict[str, Any]:
        return self._query(self._helper.head_to_head, arguments)

    def mixture(self, **arguments: Any) -> dict[str, Any]:
        return self._query(self._helper.mixture, arguments)

    def _query(self, method: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        models = arguments.get("models")
        models = models[:MAX_MODELS] if isinstance(models, list) else []
        models = [*models, arguments.get("model"), arguments.get("reference")]
        self._visitors.check_access(self._visitor, models)
        if "task" in arguments:
            task = self._visitors.own.full_name(self._visitor, arguments["task"])
            arguments = {**arguments, "task": task}
        with self._visitors.query_slot(self._visitor):
            return method(**arguments)
