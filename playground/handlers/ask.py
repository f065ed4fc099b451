"""What Try it, Score it, Learn and Rate ask of the server, for any number of visitors."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.methods import method_named
from align_core.inference.client import Helper, Unanswered
from align_core.runs.client import Client
from align_core.runs.events import of_kind
from playground.content.run_list import MAX_LISTED, list_runs
from playground.text import complaints

_GENERATE = ("task", "models", "prompt", "n", "temperature", "seed")
_SCORE = ("task", "model", "reference", "prompt", "completions")


class AskHandlers:
    """Handlers of these views. What a visitor sends is checked by the helper.

    An answer is {"answers", "complaints"}: one of the two is empty.
    """

    def __init__(self, client: Client, helper: Helper, words: dict[str, Any]) -> None:
        self._client = client
        self._helper = helper
        self._words = words

    def runs(self, task: Any) -> list[dict[str, Any]]:
        """The newest runs on `task` that have ended well and left a model, newest first."""
        found = list_runs(self._client, task)
        well = (run for run in found if run["status"] in ("finished", "stopped") and run["model"])
        return list(islice(well, MAX_LISTED))

    def newest(self, asked: Any) -> dict[str, Any] | None:
        """The newest run of a method on a task that can be put into the method's equations; None
        where there is none. Of `asked` ({"task", "method"}).

        A run on rollouts comes with its last `token` (docs/metrics.md), live or not; of the other
        methods one counts that has ended well and left a model, and `token` is None.
        """
        given = asked if isinstance(asked, dict) else {}
        task, method = given.get("task"), given.get("method")
        known = method_named(method)
        if known is None or known.learns_from != "rollouts":
            found = (run for run in self.runs(task) if run["method"] == method)
            return next(({"run": run, "token": None} for run in found), None)
        runs = (run for run in list_runs(self._client, task) if run["method"] == method)
        seen = ((run, self._token(run["run"])) for run in islice(runs, MAX_LISTED))
        return next(({"run": run, "token": token} for run, token in seen if token), None)

    def _token(self, run: str) -> dict[str, Any] | None:
        tokens = of_kind(self._client.events(run)[0], "token")
        return tokens[-1]["token"] if tokens else None

    def generate(self, asked: Any) -> dict[str, Any]:
        """What the chosen models say to a prompt: `Helper.generate`."""
        return answered(self._helper.generate, asked, _GENERATE, self._words)

    def score(self, asked: Any) -> dict[str, Any]:
        """What a model makes of some answers: `Helper.score`."""
        return answered(self._helper.score, asked, _SCORE, self._words)


def answered(
    ask: Callable[..., Any], asked: Any, names: tuple[str, ...], words: dict[str, Any]
) -> dict[str, Any]:
    """What `ask` makes of those `names` that a visitor gave: an answer, or complaints.

    Complaints are in the words of the catalogue.
    """
    given = asked if isinstance(asked, dict) else {}
    try:
        answers = ask(**{name: given.get(name) for name in names})
    except ConfigError as error:
        told = [complaints.translate(line, words) for line in error.lines]
        return {"answers": [], "complaints": told}
    except Unanswered as error:
        return {"answers": [], "complaints": [complaints.translate(error.line, words)]}
    return {"answers": answers, "complaints": []}
