"""The settings in a page's address: `?task=capitals&method=dpo&beta=0.3&steps=40&seed=7`."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.fields import SETTINGS
from align_core.config.methods import methods, owners
from align_core.config.run_config import resolve
from align_core.config.task_card import card
from playground.handlers import form

# What an address may name -> the methods that have it. links.js writes it.
FIELDS = {name: owners(name) or tuple(methods()) for name in ("task", "method", *form.SETTINGS)}


def read(query: Mapping[str, str]) -> dict[str, Any] | None:
    """The configuration that an address asks for, or None where it asks for nothing known.

    Settings stand over the defaults of task and method, whatever run the page shows: a link means
    the same to everyone. A number out of its range is the nearest in it; what is no number, and
    whatever else a run would refuse, is passed over.
    """
    if not FIELDS.keys() & query.keys():
        return None
    task, method = query.get("task"), query.get("method")
    task = task if card(task) else form.FIRST_TASK
    method = method if method in methods() else form.FIRST_METHOD
    asked = {
        name: _value(task, method, name, query[name]) for name in form.SETTINGS if name in query
    }
    accepted = {}
    for name, value in asked.items():
        with contextlib.suppress(ConfigError):
            resolve(method, task, **{name: value})
            accepted[name] = value
    with contextlib.suppress(ConfigError):
        return resolve(method, task, **accepted).model_dump()
    return form.default_config(
        method, task
    )  # the task has no reference, so that no run would begin


def _value(task: str, method: str, name: str, text: str) -> Any:
    """A setting as `resolve` takes it; None, which is not given, where `text` holds none."""
    match SETTINGS[name].kind:
        case "integer" | "number":
            return _number(method, name, text)
        case "model":  # never a path or a hub id
            return form.model_of(name, text, task)
        case "switch":
            return {"true": True, "false": False}.get(text)
    return text


def _number(method: str, name: str, text: str) -> float | None:
    """The number in `text`, or the nearest that an address can set it to."""
    try:
        value = float(text)
    except ValueError:
        return None
    if math.isnan(value):
        return None
    if name == "beta" and methods()[method].free_beta and value <= 0:
        return 0.0
    least, most = SETTINGS[name].link
    value = min(max(value, least), most)
    return round(value) if SETTINGS[name].kind == "integer" else value
