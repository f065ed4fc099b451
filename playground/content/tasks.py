"""The tasks that the page list_runs: the built-in ones, and those whose code a person named.

The page's own process never imports that code: another one does, and tells what is on the cards.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from align_core.config.errors import ConfigError, complaint
from align_core.config.messages import plain
from align_core.config.task_card import BUILT_IN, card, from_row, introduce, introduced
from align_core.runs import child_process

WITHIN = 120.0  # seconds; a task may have to read its data


def register_tasks(names: Sequence[str]) -> None:
    """Let configurations of this process name the tasks that `--task` named where it was started.

    Raises:
        ConfigError: with the lines of `align-core tasks --task …`, which imports them.
    """
    if not names:
        return
    asked = [sys.executable, "-m", "align_core", "tasks", "--json"]
    asked += [f"--task={name}" for name in names]
    environment = os.environ | {"PYTHONPATH": child_process.path()}
    try:
        done = subprocess.run(
            asked, env=environment, capture_output=True, text=True, timeout=WITHIN
        )
    except subprocess.TimeoutExpired:
        takes = f"a task that is loaded within {WITHIN:g} seconds"
        raise ConfigError(complaint("--task", ", ".join(names), takes)) from None
    said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    if done.returncode:
        raise ConfigError(*map(plain, said))
    rows = done.stdout[done.stdout.rindex("[{") :]  # its code may have printed before
    for row in json.loads(rows):
        if row["name"] not in BUILT_IN:
            introduce(from_row(row))


def available() -> dict[str, dict[str, Any]]:
    """By full name, what the page's scripts need of the card of each task (page.js)."""
    return {name: {"reference": card(name).reference} for name in (*BUILT_IN, *introduced())}


def with_task_words(words: dict[str, Any]) -> dict[str, Any]:
    """A catalogue that says of each further task what that says of itself."""
    for name, known in introduced().items():
        words["tasks"][name] = {"name": known.title, "explanation": known.explanation}
        words["groups"][name] = {group: group for group in known.groups}
        words["try"]["prompts"][name] = known.prompt
        story = {"prompt": known.prompt, "answers": [], "told": known.explanation}
        words["score"]["stories"][name] = story
    return words
