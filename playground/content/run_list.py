"""Runs to choose from, as the views name them: by method, β and learning rate, steps and time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from align_core.config.errors import ConfigError
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground.content.histories import History, of_run

MAX_LISTED = 12  # runs to choose from


def list_runs(client: Client, task: Any, sought: str = "") -> Iterator[dict[str, Any]]:
    """The runs on `task` that have begun and have all that is `sought`, newest first.

    `steps` is where a run stood at its last status, `time` when it began, in ISO 8601, as its name
    says; `model` tells whether it has saved one.
    """
    for name in client.runs():
        with contextlib.suppress(ConfigError):  # a run that another version has written
            told = settings(of_run(client, name)) if client.config(name)["task"] == task else None
            time = f"{name[:10]}T{name[11:13]}:{name[13:15]}:{name[15:17]}"
            wanted = told and has(sought, told, time.replace("T", " "))
            status = client.status(name) if wanted else None
            if status is not None:
                yield {
                    "run": name,
                    **told,
                    "steps": status["step"],
                    "time": time,
                    "status": status["status"],
                    "model": has_model(client, name),
                }


def settings(histories: Mapping[str, History]) -> dict[str, Any]:
    """The settings that name a run: its `method`, and `beta` and `learning_rate` as histories."""
    ((_, method),) = histories["method"]
    return {
        "method": method,
        "beta": histories["beta"],
        "learning_rate": histories["learning_rate"],
    }


def has(sought: str, told: Mapping[str, Any], called: str) -> bool:
    """Whether each word of `sought` is in what a run is `called`, its method, or a β of it; `told`
    are its `settings`."""
    betas = " ".join(f"{value:g}" for _, value in told["beta"] if value is not None)
    known = f"{called} {told['method']} β {betas}".lower()
    return all(word in known for word in sought.lower().split())


def has_model(client: Client, run: str) -> bool:
    """Whether a run of `client` has saved a model."""
    return RunDirectory(client.root / run).model_path.is_dir()
