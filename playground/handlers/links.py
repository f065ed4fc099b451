"""The settings in a page's URL: `?task=capitals&method=dpo&beta=0.3&steps=40&seed=7`."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.fields import SETTINGS
from align_core.config.methods import methods, methods_with
from align_core.config.run_config import resolve
from align_core.config.task_card import card
from playground.content.page_names import from_page
from playground.handlers import form

# Parameter of the URL -> the methods that have it. links.js writes the parameters.
FIELDS = {
    name: methods_with(name) or tuple(methods()) for name in ("task", "method", *form.SETTINGS)
}


def read(query: Mapping[str, str]) -> dict[str, Any] | None:
    """The configuration in the parameters of a URL; None if it has none of the FIELDS.

    The parameters override the defaults of task and method, not the settings of the run that the
    page shows, so that a link means the same to everyone. A number out of range becomes the nearest
    one in range; values that are not numbers, or that a run would refuse, are ignored.
    """
    if not FIELDS.keys() & query.keys():
        return None
    task = from_page(query.get("task"))
    task = task if card(task) else form.first_task()
    method = form.offered_method(query.get("method"), task)
    values = {
        name: _value(task, method, name, query[name]) for name in form.SETTINGS if name in query
    }
    accepted = {}
    for name, value in values.items():
        with contextlib.suppress(ConfigError):
            resolve(method, task, **{name: value})
            accepted[name] = value
    with contextlib.suppress(ConfigError):
        return resolve(method, task, **accepted).model_dump()
    return form.default_config(method, task)  # a task with no reward cannot run


def replaces_task(query: Mapping[str, str], config: Mapping[str, Any]) -> bool:
    """Whether the URL names a task that is not on this page, such as another visitor's own, so that
    `config`, which was read from the URL, has the first task instead."""
    return "task" in query and from_page(query["task"]) != config["task"]


def out_of_range(query: Mapping[str, str], config: Mapping[str, Any]) -> dict[str, Any]:
    """{setting: its number in `config`, which was read from the URL}, for the settings whose
    numbers in the URL were out of range."""
    replaced = {}
    for name in query.keys() & config.keys() & FIELDS.keys():
        requested, value = _float(query[name]), config[name]
        if requested is not None and isinstance(value, int | float) and not isinstance(value, bool):
            rounding = 0.5 if SETTINGS[name].kind == "integer" else 0.0
            if abs(requested - value) > rounding:
                replaced[name] = value
    return {name: replaced[name] for name in FIELDS if name in replaced}


def _value(task: str, method: str, name: str, text: str) -> Any:
    """The value of a setting as `resolve` takes it, from a parameter's `text`. None, for the
    default, if `text` is not a valid number, switch or model."""
    match SETTINGS[name].kind:
        case "integer" | "number":
            return _number(method, name, text)
        case "model":  # never a path or a hub id
            return form.model_of(name, text, task)
        case "switch":
            return {"true": True, "false": False}.get(text)
    return text


def _number(method: str, name: str, text: str) -> float | None:
    """The number in `text`, clamped to the range that a link may set; None if it is not one."""
    value = _float(text)
    if value is None:
        return None
    if name == "beta" and methods()[method].free_beta and value <= 0:
        return 0.0
    low, high = SETTINGS[name].link_range or (-math.inf, math.inf)
    value = min(max(value, low), high)
    return round(value) if SETTINGS[name].kind == "integer" else value


def _float(text: str) -> float | None:
    """The number in `text`; None if it is not one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value
