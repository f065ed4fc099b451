"""Which visitor asks: what Gradio knows of a request, as the handlers take it.

Gradio calls functions, by their names, and marks those it serves, which no method allows.
"""

from __future__ import annotations

from collections.abc import Callable
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


def served(handlers: Handlers, *methods: Callable[..., Any]) -> list[Callable[..., Any]]:
    """`methods`, each of one question, as Gradio calls them: on the handlers of who asks."""

    def serve(method: Callable[..., Any]) -> Callable[..., Any]:
        def asked(request: gr.Request, question: Any) -> Any:
            return method(handlers(request), question)

        asked.__name__ = method.__name__
        return asked

    return [serve(method) for method in methods]
