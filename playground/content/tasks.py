"""The tasks of the page: the built-in ones, and those that `--task` names.

The page's own process never imports a task's code. Another process does, and prints the task cards.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from align_core.config.errors import ConfigError, option_error
from align_core.config.messages import plain
from align_core.config.task_card import BUILT_IN, card, from_row, register, registered
from align_core.runs import child_process

TIMEOUT = 120.0  # seconds; a task may have to read its data


def register_tasks(names: Sequence[str]) -> None:
    """Register the tasks that `--task` names, so that configurations may name them.

    Raises:
        ConfigError: with the error lines of `align-core tasks --task …`, which imports their code.
    """
    if not names:
        return
    command = [sys.executable, "-m", "align_core", "tasks", "--json"]
    command += [f"--task={name}" for name in names]
    environment = os.environ | {"PYTHONPATH": child_process.python_path()}
    try:
        process = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        takes = f"a task that is loaded within {TIMEOUT:g} seconds"
        raise ConfigError(option_error("--task", ", ".join(names), takes)) from None
    if process.returncode:
        lines = process.stderr.strip().splitlines() or [f"exit code {process.returncode}"]
        raise ConfigError(*map(plain, lines))
    rows = process.stdout[process.stdout.rindex("[{") :]  # after anything the code has printed
    for row in json.loads(rows):
        if row["name"] not in BUILT_IN:
            register(from_row(row))


def available() -> dict[str, dict[str, Any]]:
    """The parts of each task's card that the page's scripts need (records.js), by its full name."""
    return {name: {"reference": card(name).reference} for name in (*BUILT_IN, *registered())}


def with_task_words(words: dict[str, Any]) -> dict[str, Any]:
    """The catalogue `words` with the names, explanations and prompts of the registered tasks."""
    for name, task in registered().items():
        words["tasks"][name] = {"name": task.title, "explanation": task.explanation}
        words["groups"][name] = {group: group for group in task.groups}
        words["try"]["prompts"][name] = task.prompt
        example = {"prompt": task.prompt, "answers": [], "told": task.explanation}
        words["score"]["stories"][name] = example
    return words
