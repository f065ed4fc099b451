"""The settings in a page's address: `?task=capitals&method=dpo&beta=0.3&steps=40&seed=7`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from align_core.configs import METHODS, ONLY_FOR, TASK_NAMES, ConfigError, resolve
from playground.steering import FIRST_METHOD, FIRST_TASK, MODELS, SETTINGS

# What an address may name -> the methods that have it. links.js writes it.
FIELDS = {name: ONLY_FOR.get(name, METHODS) for name in ("task", "method", *SETTINGS)}


def read(query: Mapping[str, str]) -> dict[str, Any] | None:
    """The configuration that an address asks for, or None where it asks for nothing known.

    Settings stand over the defaults of task and method, whatever run the page shows: a link means
    the same to everyone. Each that a run would refuse is passed over.
    """
    if not FIELDS.keys() & query.keys():
        return None
    task, method = query.get("task"), query.get("method")
    task = task if task in TASK_NAMES else FIRST_TASK
    method = method if method in METHODS else FIRST_METHOD
    asked = {name: _value(task, name, query[name]) for name in SETTINGS if name in query}
    accepted = {}
    for name, value in asked.items():
        with contextlib.suppress(ConfigError):
            resolve(method, task, **{name: value})
            accepted[name] = value
    return resolve(method, task, **accepted).model_dump()


def _value(task: str, name: str, text: str) -> Any:
    """A setting as `resolve` takes it; None, which is not given, where `text` holds none."""
    if name in MODELS:  # never a path or a hub id: "proxy" is the task's own, the default
        return MODELS[name][text].format(task=task) if text in MODELS[name] else None
    if name == "coverage":
        return text
    if name == "whiten_advantages":
        return {"true": True, "false": False}.get(text)
    try:
        return float(text)
    except ValueError:
        return None
