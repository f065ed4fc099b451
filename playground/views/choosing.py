"""The choice of a task and of its runs, which all views but Train share."""

from __future__ import annotations

from typing import Any

from align_core.config.methods import methods
from playground.content import tasks
from playground.handlers.form import FIRST_TASK


def props(words: dict[str, Any]) -> dict[str, Any]:
    """What choosing.js takes beside words: the names of methods and tasks, the first task."""
    return {
        "methods": {method: words["methods"][method]["name"] for method in methods()},
        "tasks": {task: words["tasks"][task]["name"] for task in tasks.available()},
        "first": FIRST_TASK,
    }
