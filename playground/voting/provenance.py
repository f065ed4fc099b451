"""The numbers of votes of each kind on which a run was trained, without anything about the voters.

The name of the run's preference file contains the numbers. The run keeps that name in its
configuration, so they remain after the session and the file are deleted.
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
    """A new file name that contains the numbers.

    Args:
        votes: votes of the session.
        cast: the number among `votes` that simulated raters cast in the session.
        simulated: further simulated votes, generated for this run.
        room: whether the session was opened as a room, in which an audience votes.
    """
    origin = "room" if room else "alone"
    return f"{secrets.token_hex(4)}-{votes}-{cast}-{simulated}-{origin}.jsonl"


def numbers(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """`votes`, `cast`, `simulated` and `origin` ("alone" or "room") of a run's preference file.

    None if its preferences are not votes of a session.
    """
    path = Path(config["preferences"] or "")
    match = _NAME.fullmatch(path.name) if path.parent.parent.name == TRAINED_ON else None
    if match is None:
        return None
    return {
        name: value if name == "origin" else int(value) for name, value in match.groupdict().items()
    }


def session_of(config: Mapping[str, Any]) -> str | None:
    """The session whose votes a run is trained on; None if there is none."""
    path = Path(config.get("preferences") or "")
    return path.parent.name if path.parent.parent.name == TRAINED_ON else None


def trained_on(client: Client, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The `numbers` of a run, or of the run that trained its reward model.

    `through` is true if they are those of the reward model's run; `elsewhere` is true if the run
    started from the model of another run. None if neither run was trained on votes.
    """
    own_numbers = numbers(config)
    votes = own_numbers or _reward_model_votes(client, config)
    if votes is None:
        return None
    elsewhere = Path(config["model"]).is_absolute()
    return {**votes, "through": own_numbers is None, "elsewhere": elsewhere}


def _reward_model_votes(client: Client, config: Mapping[str, Any]) -> dict[str, Any] | None:
    model = Path(config["reward_model"] or "")
    if model.parent != client.root.resolve():
        return None
    try:
        return numbers(client.config(model.name))
    except ConfigError:  # the run was deleted
        return None
