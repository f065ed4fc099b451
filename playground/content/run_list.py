"""The lists of runs to choose from: the visitor's own and the recorded ones, the settings by which
they are told apart, and the search."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.model_index import RECORDED
from playground.content.histories import History, Runs, run_history
from playground.content.recordings import Recording
from playground.text.machines import machine

MAX_LISTED = 12  # runs


def list_runs(
    client: Runs, task: Any, search: str = "", with_model: bool = False
) -> Iterator[dict[str, Any]]:
    """The runs on `task` that have a status and match `search`, newest first; with `with_model`
    only those that have saved a model.

    run:     its name
    method, beta, learning_rate: `identifying_settings`
    steps:   the step of its last status
    time:    when it began, in ISO 8601, taken from its name
    status:  its last status
    model:   whether it has saved a model
    """
    for name in client.runs():
        with contextlib.suppress(ConfigError):  # deleted or damaged since it was listed
            if client.config(name)["task"] != task:
                continue
            if with_model and not has_model(client, name):
                continue
            settings = identifying_settings(run_history(client, name))
            time = f"{name[:10]}T{name[11:13]}:{name[13:15]}:{name[15:17]}"
            if not matches(search, settings, time.replace("T", " ")):
                continue
            if (status := client.status(name)) is not None:
                yield {
                    "run": name,
                    **settings,
                    "steps": status["step"],
                    "time": time,
                    "status": status["status"],
                    "model": has_model(client, name),
                }


def list_recordings(
    recorded: Mapping[str, Recording], task: Any, words: Mapping[str, Any], search: str = ""
) -> Iterator[dict[str, Any]]:
    """Rows of the `recorded` runs on `task` that match `search`, in the order of the presets.

    run, method, beta, learning_rate, model: as in `list_runs`
    recorded: the name of the preset in the language of the catalogue `words`
    machine:  where it was recorded
    """
    for preset, card in words["presets"]["cards"].items():
        recording = recorded.get(f"{RECORDED}{preset}")
        if recording is None or recording.config["task"] != task:
            continue
        settings = identifying_settings(recording.histories)
        if matches(search, settings, f"{card['name']} {words['presets']['state']}"):
            yield {
                "run": f"{RECORDED}{preset}",
                **settings,
                "recorded": card["name"],
                "machine": machine(recording.preset.machine, words["presets"]),
                "model": recording.has_model,
            }


def identifying_settings(histories: Mapping[str, History]) -> dict[str, Any]:
    """The settings by which a run is listed: `method`, and the histories `beta` and
    `learning_rate`."""
    ((_, method),) = histories["method"]
    return {
        "method": method,
        "beta": histories["beta"],
        "learning_rate": histories["learning_rate"],
    }


def matches(search: str, settings: Mapping[str, Any], label: str) -> bool:
    """Whether each word of `search` occurs in a run's label, its method or one of its values of β.

    `settings` are its `identifying_settings`.
    """
    betas = " ".join(f"{value:g}" for _, value in settings["beta"] if value is not None)
    text = f"{label} {settings['method']} β {betas}".lower()
    return all(word in text for word in search.lower().split())


def has_model(client: Runs, run: str) -> bool:
    """Whether a run of `client` has saved a model."""
    return os.path.isdir(client.root / run / "model")
