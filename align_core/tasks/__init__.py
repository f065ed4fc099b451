"""Tasks: the protocol, the loader and the built-in tasks."""

from align_core.tasks.loader import get_task, load_task
from align_core.tasks.task import Task, have_ended

__all__ = ["Task", "get_task", "have_ended", "load_task"]
