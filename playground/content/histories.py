"""What a run's settings were, and what they were turned to while it ran: the one way to tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from align_core.config.run_config import RunConfig
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from align_core.runs.events import of_kind

History = list[list[Any]]  # of one setting: [step, value], the first at step 0


def history(config: Mapping[str, Any], events: Iterable[dict[str, Any]]) -> dict[str, History]:
    """Each setting of a run with its value at step 0, and every other that it was turned to.

    A value counts from the step after its own, so one that was turned again at the same step never
    did, and is left out.
    """
    found = {name: [[0, config[name]]] for name in RunConfig.model_fields}
    for event in of_kind(events, "change"):
        for name in event["settings"].keys() & found.keys():
            known = found[name]
            if known[-1][0] == event["step"]:
                known.pop()
            value = event["settings"][name]
            if not known or value != known[-1][1]:
                known.append([event["step"], value])
    return found


def of_run(client: Client, run: str) -> dict[str, History]:
    """`history` of a run of `client`, as its log tells it so far."""
    directory = RunDirectory(client.root / run)
    return history(client.config(run), _changes(directory.path, directory.size()))


@lru_cache(maxsize=512)  # a list of runs is asked for at each key of a search
def _changes(path: Path, size: int) -> tuple[dict[str, Any], ...]:
    """The changes of a log that count; read anew once it has another `size`."""
    events, _ = RunDirectory(path).events()
    return tuple(of_kind(events, "change"))
