"""The command and the Python code that repeat a run, as texts to copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from align_core.config.task_card import NAMES
from align_core.runs.commands import command, python


def repeating(config: Mapping[str, Any]) -> dict[str, Any]:
    """The `command` and the `python` code that repeat a run, and whether they need a task that is
    not in the package (`needs_task`). `config` is the run's configuration as the page gets it."""
    needs_task = config["task"] not in NAMES
    return {"command": command(config), "python": python(config), "needs_task": needs_task}
