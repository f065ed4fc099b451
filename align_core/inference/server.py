"""The process that answers the questions of client.py, one at a time."""

from __future__ import annotations

import contextlib
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from align_core.config.environment import set_library_environment
from align_core.config.errors import ConfigError, describe_error
from align_core.evaluation.provenance import reference_of
from align_core.inference import queries
from align_core.models.libraries import silence_libraries
from align_core.tasks.loader import load_allowed

NICE = 5  # a live run goes first


def main(connection: Connection, idle: float, named: tuple[str, ...]) -> None:
    """Answer until the other end goes away, or no question has come for `idle` seconds.

    Of tasks of code it loads those that a person `named` where the page was started.
    """
    set_library_environment()
    # Ctrl-C in a terminal reaches the page's whole process group: the page decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICE)
    torch.set_num_threads(1)
    silence_libraries()
    with contextlib.suppress(EOFError, OSError):
        while connection.poll(idle):
            question, content = connection.recv()
            connection.send(_answer(question, content, named))


def _answer(question: str, content: dict[str, Any], named: tuple[str, ...]) -> tuple[str, Any]:
    try:
        load_allowed(content.get("task"), named)
        return "answered", _QUESTIONS[question](**content)
    except ConfigError as error:
        return "refused", error.lines
    except Exception as error:
        return "failed", describe_error(error, Path.cwd())


def _generate(task: str, models: list[str], prompt: str, **how: Any) -> list[list[dict[str, Any]]]:
    answers = []
    for model in models:
        reference = reference_of(model, task)
        against = None if reference == model else reference
        answers.append(queries.generate(model, task, [prompt], reference=against, **how))
    return answers


_QUESTIONS = {
    "generate": _generate,
    "score": queries.score,
    "head_to_head": queries.head_to_head,
    "candidates": queries.candidates,
    "score_pairs": queries.score_pairs,
}
