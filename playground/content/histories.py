"""Histories of a run's settings: the initial values, and the changes while it ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from align_core.config.run_config import RunConfig
from align_core.runs.directory import RunDirectory
from align_core.runs.events import of_kind

History = list[list[Any]]  # [step, value] pairs of one setting, the first at step 0


class Runs(Protocol):
    """Read access to runs: those of a `Client`, or some of them."""

    root: Path

    def runs(self) -> list[str]: ...

    def config(self, run: str) -> dict[str, Any]: ...

    def status(self, run: str) -> dict[str, Any] | None: ...


def history(config: Mapping[str, Any], events: Iterable[dict[str, Any]]) -> dict[str, History]:
    """The history of each setting of a run.

    A change takes effect at the step after its own, so of several changes at one step only the last
    is kept.
    """
    histories = {name: [[0, config[name]]] for name in RunConfig.model_fields}
    for event in of_kind(events, "change"):
        for name in event["settings"].keys() & histories.keys():
            pairs = histories[name]
            if pairs[-1][0] == event["step"]:
                pairs.pop()
            value = event["settings"][name]
            if not pairs or value != pairs[-1][1]:
                pairs.append([event["step"], value])
    return histories


def run_history(client: Runs, run: str) -> dict[str, History]:
    """`history` of a run of `client`, from its log so far."""
    directory = RunDirectory(client.root / run)
    return history(client.config(run), _changes(directory.path, directory.size()))


@lru_cache(maxsize=512)  # a search lists the runs at each key pressed
def _changes(path: Path, size: int) -> tuple[dict[str, Any], ...]:
    """The change events of a log. `size`, its bytes, makes the cache read a longer log again."""
    return tuple(of_kind(RunDirectory(path).changes(), "change"))
