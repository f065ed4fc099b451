"""Functions for Gradio that identify the visitor who sent a request and call a handler.

Gradio addresses functions by their `__name__`, and sets attributes on them. A bound method allows
no attributes, so each handler is wrapped in a function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from align_core.config.errors import shown
from playground.content.page_names import from_page
from playground.people.json_requests import Refused
from playground.people.threads import Threads
from playground.people.visitors import Visitor, Visitors

HandlersOf = Callable[[gr.Request], Any]  # returns a view's handlers for the request's visitor
# The values that Gradio passes on unchecked, and that handlers use as they come; errors in other
# settings are shown beside their fields.
_TYPES: Mapping[str, tuple[Sequence[type], str]] = {
    "method": ([str], "the name of a method"),
    "pace": ([int, float], "a number of seconds"),
}


def with_visitor(visitors: Visitors, name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
    """`handler` as a function called `name` that passes the request's visitor as `visitor`."""

    def wrapped(request: gr.Request, *arguments: Any) -> Any:
        return handler(*arguments, visitor=visitors.sender(request))

    wrapped.__name__ = name
    return wrapped


def with_named_values(
    visitors: Visitors, controls: Mapping[str, Any], name: str, handler: Callable[..., Any]
) -> Callable[..., dict[Any, Any] | None]:
    """`handler` as a function called `name` that takes and returns values by component.

    The handler itself takes a dict of values by the names of `controls`, and `visitor`; it returns
    the new values by name. The function returns None if no value changes. The handler gets a task's
    full name; the page gets its name from `OwnTasks.page_name`. The function raises Refused for a
    value that is not one of its control's `_TYPES`.
    """
    names = {component: name for name, component in controls.items()}

    def wrapped(request: gr.Request, inputs: dict[Any, Any]) -> dict[Any, Any] | None:
        values = {names[component]: value for component, value in inputs.items()}
        _check_types(values)
        visitor = visitors.sender(request)
        if "task" in values:
            values["task"] = visitors.own.full_name(visitor, values["task"])
        outputs = as_shown(visitors, visitor, handler(values, visitor=visitor))
        return {controls[name]: value for name, value in outputs.items()} or None

    wrapped.__name__ = name
    return wrapped


def _check_types(values: Mapping[str, Any]) -> None:
    for name, (types, expected) in _TYPES.items():
        if name in values and type(values[name]) not in types:  # a boolean is not a number
            got = shown(values[name])
            raise Refused(422, "malformed", f"{name}: expected {expected}, got {got}")


def with_named_task(visitors: Visitors, function: Callable[[Any], Any]) -> Callable[..., Any]:
    """`function` of a query, with the query's task and model by their full names."""

    def wrapped(request: gr.Request, query: Any) -> Any:
        if isinstance(query, dict):
            visitor = visitors.sender(request)
            task = visitors.own.full_name(visitor, query.get("task"))
            query = {**query, "task": task, "model": from_page(query.get("model"))}
        return function(query)

    wrapped.__name__ = function.__name__
    return wrapped


def as_shown(visitors: Visitors, visitor: Visitor, values: dict[str, Any]) -> dict[str, Any]:
    """Values by the names of controls, with their task as the visitor's page calls it."""
    values = dict(values)
    if "task" in values:
        values["task"] = visitors.own.page_name(visitor, values["task"])
    if "picture" in values:
        task = visitors.own.page_name(visitor, values["picture"]["task"])
        values["picture"] = {**values["picture"], "task": task}
    return values


def server_functions(
    handlers_of: HandlersOf, *methods: Callable[..., Any], threads: Threads | None = None
) -> list[Callable[..., Any]]:
    """Functions that call each of the `methods`, which have one argument, on the handlers of the
    request's visitor, in `threads` or, by default, in Gradio's threads."""

    def wrap(method: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(request: gr.Request, argument: Any) -> Any:
            return method(handlers_of(request), argument)

        wrapped.__name__ = method.__name__
        return wrapped

    functions = [wrap(method) for method in methods]
    return [threads.serve(function) for function in functions] if threads else functions
