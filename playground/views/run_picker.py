"""The choice of a task and of its runs, shared by the Compare, Try it, Score it and Rate views."""

from __future__ import annotations

from typing import Any

from align_core.config.methods import methods
from playground.content import tasks
from playground.content.page_names import page_name
from playground.handlers.form import first_task


def props(words: dict[str, Any]) -> dict[str, Any]:
    """The props of run_picker.js besides words: names of methods and tasks, and the first task."""
    return {
        "method_names": {method: words["methods"][method]["name"] for method in methods()},
        "task_names": {task: words["tasks"][task]["name"] for task in tasks.available()},
        "first_task": page_name(first_task()),
    }
