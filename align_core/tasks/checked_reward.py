"""Checks the rewards that a task of code returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

from align_core.config.errors import ConfigError, option_error, shown
from align_core.data.formats import Text
from align_core.tasks.task import Task


class CheckedReward(Task):
    """A mixin, placed before a task's class, that checks what that class's `reward` returns."""

    def reward(
        self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any
    ) -> list[float]:
        """The rewards [B] of the task's class, in nats.

        Raises:
            ConfigError: it returned no list, tuple or array with a finite number per completion.
        """
        rewards = super().reward  # type: ignore[safe-super]  # the task's class has one
        returned = rewards(prompts, completions, **columns)
        values = returned.tolist() if hasattr(returned, "tolist") else returned
        if not isinstance(values, list | tuple):
            raise self._refused(f"a list of numbers; it returned {shown(returned)}")
        if len(values) != len(completions):
            got = f"it returned {len(values)} for {len(completions)} completions"
            raise self._refused(f"a number for each completion; {got}")
        values = [value.item() if hasattr(value, "item") else value for value in values]
        for value, completion in zip(values, completions, strict=True):
            if not isinstance(value, Real) or not math.isfinite(value):
                got = f"it returned {shown(value)} for {shown(completion)}"
                raise self._refused(f"finite numbers; {got}")
        return [float(value) for value in values]

    def _refused(self, expected: str) -> ConfigError:
        return ConfigError(
            option_error("--task", self.full_name, f"a reward that gives {expected}")
        )
