"""What the views beside Train have in common: the choice of a task and of its runs."""

from __future__ import annotations

from typing import Any

from align_core.config.run_config import METHODS, TASK_NAMES
from playground.handlers.train import FIRST_TASK


def props(words: dict[str, Any]) -> dict[str, Any]:
    """What choosing.js takes beside words: the names of methods and tasks, the first task."""
    return {
        "methods": {method: words["methods"][method]["name"] for method in METHODS},
        "tasks": {task: words["tasks"][task]["name"] for task in TASK_NAMES},
        "first": FIRST_TASK,
    }
