"""Runs, and questions to their models, as one visitor has them: about the runs that they see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from align_core.inference.client import Helper
from align_core.runs.client import Client
from playground.people.visitors import Visitor, Visitors


class VisibleRuns:
    """The runs of `client` that a visitor sees, read as from the client itself."""

    def __init__(self, client: Client, visitors: Visitors, visitor: Visitor) -> None:
        self._visitors = visitors
        self._visitor = visitor
        self.root: Path = client.root
        self.config = client.config
        self.status = client.status
        self.events = client.events

    def runs(self) -> list[str]:
        """The names of the runs that the visitor sees, newest first."""
        return self._visitors.runs(self._visitor)


class VisibleModels:
    """The questions of `helper`, about the embedded models and the runs that a visitor sees."""

    def __init__(self, helper: Helper, visitors: Visitors, visitor: Visitor) -> None:
        self._helper = helper
        self._visitors = visitors
        self._visitor = visitor

    def generate(self, **asked: Any) -> list[dict[str, Any]]:
        return self._ask(self._helper.generate, asked)

    def score(self, **asked: Any) -> list[dict[str, Any]]:
        return self._ask(self._helper.score, asked)

    def duel(self, **asked: Any) -> dict[str, Any]:
        return self._ask(self._helper.duel, asked)

    def _ask(self, ask: Callable[..., Any], asked: dict[str, Any]) -> Any:
        several = asked.get("models")
        named = several if isinstance(several, list) else []
        named = [*named, asked.get("model"), asked.get("reference")]
        self._visitors.check_access(self._visitor, named)
        with self._visitors.question_slot(self._visitor):
            return ask(**asked)
