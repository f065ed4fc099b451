"""The settings in a page's address: `?task=capitals&method=dpo&beta=0.3&steps=40&seed=7`."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.methods import methods, owners
from align_core.config.run_config import (
    resolve,
)
from align_core.config.task_card import BUILT_IN
from playground.handlers.train import FIRST_METHOD, FIRST_TASK, MODELS, SETTINGS

# What an address may name -> the methods that have it. links.js writes it.
FIELDS = {name: owners(name) or tuple(methods()) for name in ("task", "method", *SETTINGS)}
MOST_STEPS = 2000  # half an hour of PPO on two cores: nobody presses Run on a day by mistake
MOST_PAIRS = 16_000  # as many are stored
# What an address can set each number to: whatever a run accepts, but for what would take hours, or
# more memory than a small machine has. Typed into its field, each may be more.
NUMBERS: dict[str, tuple[float, float]] = {
    "beta": (0.001, 1000.0),
    "steps": (1, MOST_STEPS),
    "learning_rate": (1e-7, 1.0),
    "batch_size": (1, 512),
    "seed": (0, 2**32 - 1),
    "preference_pairs": (1, MOST_PAIRS),
    "label_noise": (0.0, 0.5),
    "eval_every": (1, MOST_STEPS),
    "lora_r": (0, 256),
}


def read(query: Mapping[str, str]) -> dict[str, Any] | None:
    """The configuration that an address asks for, or None where it asks for nothing known.

    Settings stand over the defaults of task and method, whatever run the page shows: a link means
    the same to everyone. A number out of its range is the nearest in it; what is no number, and
    whatever else a run would refuse, is passed over.
    """
    if not FIELDS.keys() & query.keys():
        return None
    task, method = query.get("task"), query.get("method")
    task = task if task in BUILT_IN else FIRST_TASK
    method = method if method in methods() else FIRST_METHOD
    asked = {name: _value(task, method, name, query[name]) for name in SETTINGS if name in query}
    accepted = {}
    for name, value in asked.items():
        with contextlib.suppress(ConfigError):
            resolve(method, task, **{name: value})
            accepted[name] = value
    return resolve(method, task, **accepted).model_dump()


def _value(task: str, method: str, name: str, text: str) -> Any:
    """A setting as `resolve` takes it; None, which is not given, where `text` holds none."""
    if name in NUMBERS:
        return _number(method, name, text)
    if name in MODELS:  # never a path or a hub id: "proxy" is the task's own, the default
        return MODELS[name][text].format(task=task) if text in MODELS[name] else None
    if name == "whiten_advantages":
        return {"true": True, "false": False}.get(text)
    return text


def _number(method: str, name: str, text: str) -> float | None:
    """The number in `text`, or the nearest that is accepted."""
    try:
        value = float(text)
    except ValueError:
        return None
    if math.isnan(value):
        return None
    least, most = NUMBERS[name]
    if name == "beta" and method == "ppo" and value <= 0:
        return 0.0  # PPO can do without a leash
    value = min(max(value, least), most)
    return round(value) if isinstance(least, int) else value
