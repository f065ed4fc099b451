"""Reward functions as in TRL's GRPO: calling them, and checking before a run that this works."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

from align_core.config.errors import shown

# A reward function may return None for a text that it does not score.
RewardFunction: TypeAlias = Callable[..., Sequence[float | None] | Sequence[Sequence[float]]]

LOADED = "AutoModelForSequenceClassification.from_pretrained(…, num_labels=1)"

_ARGUMENTS = ("prompts", "completions", "completion_ids", "trainer_state")  # in every call


def check_function(reward: Any, name: str) -> None:
    """Check that a reward is a function that can be called with keyword arguments.

    Raises:
        TypeError: it is not a function, or has arguments of other names.
    """
    if not callable(reward):
        line = f"reward_model: expected a model with one label or a function, got {shown(reward)}"
        if isinstance(reward, str):
            line += f"; {LOADED.replace('…', repr(reward))} loads it"
        raise TypeError(line)
    signature = _signature(reward)
    try:
        if signature is not None:
            signature.bind_partial(**dict.fromkeys(_ARGUMENTS))
    except TypeError:
        line = f"expected a function that takes {', '.join(_ARGUMENTS)} and columns of the data "
        line += f"set by name, such as (completions, **_), got {signature}"
        raise TypeError(f"reward_model {name}: {line}") from None


def check_columns(function: RewardFunction, name: str, data: str, columns: Collection[str]) -> None:
    """Check that a function of this `name` can be called with the `columns` of the set `data`.

    Raises:
        TypeError: it cannot be called with them.
    """
    signature = _signature(function)
    try:
        if signature is not None:
            signature.bind(**dict.fromkeys([*_ARGUMENTS, *columns]))
    except TypeError as error:
        line = f"expected a function of {', '.join(_ARGUMENTS)} and the other columns of {data} "
        line += f"({', '.join(columns) or 'none'}), got {signature}: {error}"
        raise TypeError(f"reward_model {name}: {line}") from None


def _signature(function: Callable) -> inspect.Signature | None:
    """The function's signature; None for most functions in C."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None
