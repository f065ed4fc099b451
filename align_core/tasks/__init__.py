"""The tasks: what one is, the built-in ones, and how a name leads to one."""

from align_core.tasks.loader import load_task, task_named
from align_core.tasks.task import Task, have_ended

__all__ = ["Task", "have_ended", "load_task", "task_named"]
