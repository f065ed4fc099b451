"""What the views beside Train have in common: the choice of a task and of its runs."""

from __future__ import annotations

from typing import Any

from align_core.config.methods import methods
from align_core.config.task_card import BUILT_IN, card
from playground.handlers.form import FIRST_TASK


def props(words: dict[str, Any]) -> dict[str, Any]:
    """What choosing.js takes beside words: the names of methods and tasks, the reference of each
    task, the first task."""
    return {
        "methods": {method: words["methods"][method]["name"] for method in methods()},
        "references": {task: card(task).reference for task in BUILT_IN},
        "tasks": {task: words["tasks"][task]["name"] for task in BUILT_IN},
        "first": FIRST_TASK,
    }
