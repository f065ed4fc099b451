"""The server process of client.py, which answers one query at a time."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from align_core.config.environment import QUESTION_NICE, set_library_environment
from align_core.config.errors import CODE_ERRORS, ConfigError, describe_error
from align_core.evaluation.provenance import reference_of
from align_core.inference import queries
from align_core.inference.client import LEFT
from align_core.inference.mixtures import mixture
from align_core.models.libraries import silence_libraries
from align_core.tasks.loader import load_allowed


def main(connection: Connection, idle_timeout: float, allowed: tuple[str, ...]) -> None:
    """Answer queries until the connection closes, or until none has come for `idle_timeout`
    seconds.

    `allowed` has the full names of the tasks in Python code that may be loaded.
    """
    set_library_environment()
    # Ctrl-C in a terminal reaches the page's whole process group; the page decides what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(QUESTION_NICE)
    torch.set_num_threads(1)
    silence_libraries()
    with contextlib.suppress(EOFError, OSError):
        while connection.poll(idle_timeout):
            query, arguments = connection.recv()
            connection.send(_answer(query, arguments, allowed))
        connection.send((LEFT, None))


def _answer(query: str, arguments: dict[str, Any], allowed: tuple[str, ...]) -> tuple[str, Any]:
    """("answered", result), ("refused", messages) or ("failed", message)."""
    try:
        load_allowed(arguments.get("task"), allowed)
        return "answered", _QUERIES[query](**arguments)
    except ConfigError as error:
        return "refused", error.lines
    except CODE_ERRORS as error:
        return "failed", describe_error(error, Path.cwd())


def _generate(
    task: str, models: list[str], prompt: str, realign: float | None, **options: Any
) -> list[list[dict[str, Any]]]:
    samples = []
    for model in models:
        reference, share = reference_of(model, task), realign
        if reference == model:  # mixed with itself, a model stays the same
            reference = share = None
        options |= {"reference": reference, "realign": share}
        samples.append(queries.generate(model, task, [prompt], **options))
    return samples


_QUERIES: dict[str, Callable[..., Any]] = {
    "generate": _generate,
    "score": queries.score,
    "head_to_head": queries.head_to_head,
    "candidates": queries.candidates,
    "score_pairs": queries.score_pairs,
    "mixture": mixture,
}
