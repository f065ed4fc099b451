"""Which visitor asks: what Gradio knows of a request, as the handlers take it.

Gradio calls functions, by their names, and marks those it serves, which no method allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from playground.people.visitors import Visitors

Handlers = Callable[[gr.Request], Any]  # the handlers of a view, as they are for who asks


def by_visitor(visitors: Visitors, name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
    """`handler` as Gradio calls it, under `name`: it is told who asks, as its `visitor`."""

    def asked(request: gr.Request, *given: Any) -> Any:
        return handler(*given, visitor=visitors.behind(request.cookies))

    asked.__name__ = name
    return asked


def from_controls(controls: Mapping[str, Any], handler: Callable[..., Any]) -> Callable[..., Any]:
    """`handler`, which takes values by the names of `controls`, as Gradio calls it for a set of
    components: with a value by component."""
    names = {component: name for name, component in controls.items()}

    def asked(request: gr.Request, given: dict[Any, Any]) -> Any:
        return handler(request, {names[component]: value for component, value in given.items()})

    asked.__name__ = handler.__name__
    return asked


def to_controls(
    controls: Mapping[str, Any], handler: Callable[..., Mapping[str, Any]]
) -> Callable[..., dict[Any, Any]]:
    """`handler`, which answers by the names of `controls`, as Gradio reads it: by component."""

    def asked(request: gr.Request, *given: Any) -> dict[Any, Any]:
        return {controls[name]: value for name, value in handler(request, *given).items()}

    asked.__name__ = handler.__name__
    return asked


def served(handlers: Handlers, *methods: Callable[..., Any]) -> list[Callable[..., Any]]:
    """`methods`, each of one question, as Gradio calls them: on the handlers of who asks."""

    def serve(method: Callable[..., Any]) -> Callable[..., Any]:
        def asked(request: gr.Request, question: Any) -> Any:
            return method(handlers(request), question)

        asked.__name__ = method.__name__
        return asked

    return [serve(method) for method in methods]
