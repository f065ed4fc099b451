"""The built-in tasks, by name."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from align_core.tasks.grammar_task import Task

__all__ = ["TASKS", "Task", "load_task"]

_CLASSES = {"reviews": "Reviews", "capitals": "Capitals"}
TASKS = tuple(_CLASSES)


@cache
def load_task(name: str) -> Task:
    """The task of that name; raises ValueError with the names there are."""
    if name not in _CLASSES:
        raise ValueError(f"no task {name!r}: there are {', '.join(TASKS)}")
    return getattr(import_module(f".{name}.task", __name__), _CLASSES[name])()
