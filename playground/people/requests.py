"""Which visitor asks: what Gradio knows of a request, as the handlers take it.

Gradio calls functions, by their names, and marks those it serves, which no method allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from playground.people.visitors import Visitors

Handlers = Callable[[gr.Request], Any]  # the handlers of a view, as they are for who asks


def with_visitor(visitors: Visitors, name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
    """`handler` as Gradio calls it, under `name`: its `visitor` is who asks."""

    def asked(request: gr.Request, *given: Any) -> Any:
        return handler(*given, visitor=visitors.from_cookies(request.cookies))

    asked.__name__ = name
    return asked


def with_named_values(
    visitors: Visitors, controls: Mapping[str, Any], name: str, handler: Callable[..., Any]
) -> Callable[..., dict[Any, Any] | None]:
    """`handler`, which takes and gives values by the names of `controls`, as Gradio calls it under
    `name` for a set of components: by component, None where nothing changes. Its `visitor` is who
    asks."""
    names = {component: name for name, component in controls.items()}

    def asked(request: gr.Request, given: dict[Any, Any]) -> dict[Any, Any] | None:
        values = {names[component]: value for component, value in given.items()}
        answer = handler(values, visitor=visitors.from_cookies(request.cookies))
        return {controls[name]: value for name, value in answer.items()} or None

    asked.__name__ = name
    return asked


def as_server_functions(
    handlers: Handlers, *methods: Callable[..., Any]
) -> list[Callable[..., Any]]:
    """`methods`, each of one question, as Gradio calls them: on the handlers of who asks."""

    def serve(method: Callable[..., Any]) -> Callable[..., Any]:
        def asked(request: gr.Request, question: Any) -> Any:
            return method(handlers(request), question)

        asked.__name__ = method.__name__
        return asked

    return [serve(method) for method in methods]
