"""Checks what the functions of a task of code return; its rewards are called as by TRL."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from numbers import Real
from typing import Any

from align_core.config.errors import ConfigError, option_error, shown
from align_core.config.messages import Invalid
from align_core.data.formats import Text, demonstration, pair
from align_core.tasks.task import Rows, Task


class CheckedReward(Task):
    """A mixin, placed before a task's class, that checks what that class's `reward` returns."""

    def reward(
        self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any
    ) -> list[float]:
        """The rewards [B] of the task's class, in nats.

        Raises:
            ConfigError: it returned no list, tuple or array with a finite number per completion.
        """
        function = super().reward  # type: ignore[safe-super]  # the task's class has one
        return checked(function, self.full_name, "a reward")(prompts, completions, **columns)


def checked(function: Callable[..., Any], task: str, name: str) -> Callable[..., list[float]]:
    """A reward function of a task, with a check of what it returns.

    It is called with keywords, as by TRL, and may be a coroutine. What it prints goes to standard
    error: standard output belongs to the command. Errors name the `task` and its reward, `name`.
    """

    def rewards(
        prompts: Sequence[Text], completions: Sequence[Text], **columns: Any
    ) -> list[float]:
        arguments = {"prompts": prompts, "completions": completions, **columns}
        with contextlib.redirect_stdout(sys.stderr):
            returned = awaited(function(**arguments))
        values = returned.tolist() if hasattr(returned, "tolist") else returned
        if not isinstance(values, list | tuple):
            raise refused(f"a list of numbers; it returned {shown(returned)}")
        if len(values) != len(completions):
            got = f"it returned {len(values)} for {len(completions)} completions"
            raise refused(f"a number for each completion; {got}")
        values = [value.item() if hasattr(value, "item") else value for value in values]
        for value, completion in zip(values, completions, strict=True):
            if not isinstance(value, Real) or not math.isfinite(value):
                got = f"it returned {shown(value)} for {shown(completion)}"
                raise refused(f"finite numbers; {got}")
        return [float(value) for value in values]

    def refused(expected: str) -> ConfigError:
        return ConfigError(option_error("--task", task, f"{name} that gives {expected}"))

    return rewards


def checked_members(task: Task, name: str) -> dict[str, Any]:
    """The optional members of a task of code that are functions, each with a check of what it
    returns. Errors name the task by its `name`."""
    return {
        "proxies": {
            proxy: checked(function, name, f"a reward {proxy!r}")
            for proxy, function in task.proxies.items()
        },
        "demonstrations": _checked_rows(task.demonstrations, demonstration, name, "demonstrations"),
        "preferences": _checked_rows(task.preferences, pair, name, "preferences"),
    }


def _checked_rows(
    function: Rows | None, parse: Callable[[Any], dict[str, Any]], task: str, name: str
) -> Rows | None:
    """The function of rows with a check that `parse` takes each of them."""
    if function is None:
        return None

    def rows(n: int, seed: int) -> list[dict[str, Any]]:
        with contextlib.redirect_stdout(sys.stderr):
            returned = function(n, seed)
        if not isinstance(returned, list | tuple):
            expected = f"{name} that are a list of rows; it returned {shown(returned)}"
            raise ConfigError(option_error("--task", task, expected))
        for number, row in enumerate(returned, start=1):
            try:
                parse(row)
            except Invalid as error:
                expected = f"{name} in rows of texts; row {number}: {error.message}"
                raise ConfigError(option_error("--task", task, expected)) from None
        return [*returned]

    return rows


def awaited(returned: Any) -> Any:
    """The value that a reward function returned, or the result of its coroutine."""
    if not inspect.isawaitable(returned):
        return returned

    async def result() -> Any:
        return await returned

    with ThreadPoolExecutor(1) as thread:  # the thread of a notebook has a running loop already
        return thread.submit(asyncio.run, result()).result()
