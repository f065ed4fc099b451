"""Runs to choose from, as the views name them: by method, β, steps and time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from align_core.client import Client
from align_core.configs import ConfigError
from align_core.runs import RunDirectory

OFFERED = 12  # runs to choose from


def offers(client: Client, task: Any, sought: str = "") -> Iterator[dict[str, Any]]:
    """The runs on `task` that have begun and have all that is `sought`, newest first.

    `steps` is where a run stood at its last status, `time` when it began, in ISO 8601, as its name
    says; `model` tells whether it has saved one.
    """
    for name in client.runs():
        with contextlib.suppress(ConfigError):  # a run that another version has written
            config = client.config(name)
            time = f"{name[:10]}T{name[11:13]}:{name[13:15]}:{name[15:17]}"
            wanted = config["task"] == task and has(sought, config, time.replace("T", " "))
            status = client.status(name) if wanted else None
            if status is not None:
                yield {
                    "run": name,
                    "method": config["method"],
                    "beta": config["beta"],
                    "steps": status["step"],
                    "time": time,
                    "status": status["status"],
                    "model": has_model(client, name),
                }


def has(sought: str, config: Mapping[str, Any], called: str) -> bool:
    """Whether each word of `sought` is in what a run is `called`, its method, or its β."""
    beta = "" if config["beta"] is None else f"{config['beta']:g}"
    known = f"{called} {config['method']} β {beta}".lower()
    return all(word in known for word in sought.lower().split())


def has_model(client: Client, run: str) -> bool:
    """Whether a run of `client` has saved a model."""
    return RunDirectory(client.root / run).model_path.is_dir()
