"""The table of limits on what all visitors together, or those at one address, may use of a server.

docs/deploy.md shows the same table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from align_core.config.errors import option_error
from align_core.config.messages import Message


def _limit(variable: str, meaning: str, private: float | None, public: float) -> Any:
    """A field of `Limits`, with its values on a private and on a public server."""
    metadata = {"variable": variable, "meaning": meaning, "public": public}
    return field(default=private, metadata=metadata)


@dataclass(frozen=True)
class Limits:
    """The limits of a server; None is no limit. The defaults are those of a private server."""

    run_days: int | None = _limit(
        "PLAYGROUND_RUN_DAYS", "days that a run is kept after its end", None, 7
    )
    megabytes: int | None = _limit(
        "PLAYGROUND_RUN_MEGABYTES", "megabytes of all runs; the oldest are deleted", None, 2000
    )
    vote_days: int | None = _limit(
        "PLAYGROUND_VOTE_DAYS", "days that votes are kept after the last vote", None, 7
    )
    vote_megabytes: int | None = _limit(
        "PLAYGROUND_VOTE_MEGABYTES", "megabytes of all sessions of votes", None, 1000
    )
    session_megabytes: int | None = _limit(
        "PLAYGROUND_SESSION_MEGABYTES",
        "megabytes of one session of votes; a full one takes no more votes",
        None,
        50,
    )
    tasks: int = _limit("PLAYGROUND_MOST_TASKS", "visitors with tasks of their own", 300, 300)
    tasks_by_address: int = _limit(
        "PLAYGROUND_TASKS_BY_ADDRESS", "visitors with tasks of their own, at one address", 300, 100
    )
    task_megabytes: int | None = _limit(
        "PLAYGROUND_TASK_MEGABYTES",
        "megabytes of all tasks of visitors, with their prepared samples",
        None,
        1000,
    )
    task_megabytes_by_address: int | None = _limit(
        "PLAYGROUND_TASK_MEGABYTES_BY_ADDRESS",
        "megabytes of the tasks of visitors at one address",
        None,
        200,
    )
    waiting: int = _limit(
        "PLAYGROUND_WAITING", "runs, and quick runs of the lab's experiments, that wait", 50, 50
    )
    waiting_by_address: int = _limit(
        "PLAYGROUND_WAITING_BY_ADDRESS", "runs and quick runs that wait, from one address", 50, 20
    )
    sessions: int = _limit("PLAYGROUND_VOTE_SESSIONS", "sessions of votes", 200, 200)
    sessions_by_address: int = _limit(
        "PLAYGROUND_VOTE_SESSIONS_BY_ADDRESS", "sessions of votes made from one address", 200, 100
    )
    raters: int = _limit("PLAYGROUND_RATERS", "raters of a session", 5000, 5000)
    raters_by_address: int = _limit(
        "PLAYGROUND_RATERS_BY_ADDRESS", "raters of a session at one address", 5000, 1000
    )
    questions_by_address: int = _limit(
        "PLAYGROUND_QUESTIONS_BY_ADDRESS", "questions to models at once, from one address", 8, 4
    )
    connections: int = _limit("PLAYGROUND_CONNECTIONS", "connections", 2000, 2000)
    connections_by_address: int = _limit(
        "PLAYGROUND_CONNECTIONS_BY_ADDRESS",
        "connections from one address; not applied behind a proxy",
        2000,
        1000,
    )
    head_seconds: int = _limit(
        "PLAYGROUND_HEAD_SECONDS", "seconds for the head of a request", 10, 10
    )
    body_seconds: int = _limit(
        "PLAYGROUND_BODY_SECONDS",
        "seconds for the body of a request, or to receive an answer",
        30,
        30,
    )
    body_bytes: int = _limit(
        "PLAYGROUND_BODY_BYTES",
        "bytes of a body; the files of a task may have more",
        200_000,
        200_000,
    )
    steps: int | None = _limit("PLAYGROUND_MOST_STEPS", "steps of a run", None, 2000)
    batch_size: int | None = _limit("PLAYGROUND_MOST_BATCH", "batch size of a run", None, 256)
    preference_pairs: int | None = _limit(
        "PLAYGROUND_MOST_PAIRS", "preference pairs of a run", None, 16_000
    )
    lora_r: int | None = _limit("PLAYGROUND_MOST_LORA_R", "rank of a run's LoRA", None, 256)
    evaluations: int | None = _limit(
        "PLAYGROUND_MOST_EVALUATIONS", "evaluations of a run", None, 40
    )

    @classmethod
    def read(cls, environment: Mapping[str, str], public: bool, errors: list[Message]) -> Limits:
        """The limits in `environment`; a message for each invalid variable is added to `errors`."""
        values: dict[str, Any] = {}
        for declared in fields(cls):
            variable = declared.metadata["variable"]
            default = declared.metadata["public"] if public else declared.default
            text = environment.get(variable, "").strip()
            values[declared.name] = default
            if text.isdecimal() and len(text) <= 10 and 1 <= int(text) <= 10**9:
                values[declared.name] = int(text)
            elif text:
                errors.append(option_error(variable, text, "a whole number from 1 to 1000000000"))
        return cls(**values)
