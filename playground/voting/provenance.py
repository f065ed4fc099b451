"""What a run on votes was trained on: numbers, and nothing about who voted.

They stand in the name of its file, which a run keeps in its configuration when the session and the
file are gone from the disk.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError
from align_core.runs.client import Client
from align_core.votes.sessions import TRAINED_ON

_NAME = re.compile(
    r"[0-9a-f]{8}-(?P<votes>\d+)-(?P<cast>\d+)-(?P<simulated>\d+)-(?P<origin>alone|room)\.jsonl"
)


def file_name(votes: int, cast: int, simulated: int, room: bool) -> str:
    """A new name for so many votes of a session, of which `cast` by simulated raters, and so many
    `simulated` ones for the run; `room`: the session was opened to one."""
    origin = "room" if room else "alone"
    return f"{secrets.token_hex(4)}-{votes}-{cast}-{simulated}-{origin}.jsonl"


def numbers(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `file_name` tells of a run's preferences: `votes`, `cast`, `simulated`, and the `origin`
    of the votes, "alone" or "room". None where they are no votes of a session."""
    path = Path(config["preferences"] or "")
    found = _NAME.fullmatch(path.name) if path.parent.parent.name == TRAINED_ON else None
    if found is None:
        return None
    return {
        name: value if name == "origin" else int(value) for name, value in found.groupdict().items()
    }


def trained_on(client: Client, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """`numbers` of a run or, `through` its reward model, of the run that made that; `elsewhere`:
    whether it started from another run's model. None for a run that has learnt from no votes."""
    found, through = numbers(config), False
    if found is None and config["reward_model"]:
        model = Path(config["reward_model"])
        if model.parent != client.root.resolve():
            return None
        try:
            found, through = numbers(client.config(model.name)), True
        except ConfigError:  # that run is gone
            return None
    if found is None:
        return None
    return {**found, "through": through, "elsewhere": Path(config["model"]).is_absolute()}


def without_session(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` for any page: a file of votes without its folder, which is called as the session."""
    if numbers(config) is None:
        return dict(config)
    return {**config, "preferences": Path(config["preferences"]).name}
