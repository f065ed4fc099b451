"""The tasks: what one is, the built-in ones, and how a name leads to one."""

from align_core.tasks.loader import get_task, load_task
from align_core.tasks.task import Task, have_ended

__all__ = ["Task", "get_task", "have_ended", "load_task"]
