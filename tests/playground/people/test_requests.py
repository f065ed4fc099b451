"""Handlers wrapped for Gradio."""

from __future__ import annotations

from typing import get_type_hints

import gradio as gr

from playground.people.requests import server_functions, with_named_values


class Handlers:
    def __init__(self, who):
        self.who = who

    def runs(self, task):
        return self.who, task

    def score(self, query):
        return query


def test_methods_are_called_on_the_handlers_of_the_visitor():
    runs, score = server_functions(Handlers, Handlers.runs, Handlers.score)
    assert (runs.__name__, score.__name__) == ("runs", "score")
    assert (runs("a visitor", "reviews"), score("another", 7)) == (("a visitor", "reviews"), 7)
    assert get_type_hints(runs)["request"] is gr.Request  # which makes Gradio pass the request


def test_a_handler_takes_and_returns_values_by_the_names_of_controls():
    class Known:
        def sender(self, request):
            return request.cookies["who"]

    class Request:
        cookies = {"who": "ann"}

    controls = {"beta": object(), "steps": object(), "run": object()}

    def doubled(values, visitor):
        return {"steps": 2 * values["steps"], "run": f"{visitor} at {values['beta']}"}

    handler = with_named_values(Known(), controls, "doubled", doubled)
    inputs = {controls["steps"]: 20, controls["beta"]: 0.5}
    assert handler(Request(), inputs) == {controls["steps"]: 40, controls["run"]: "ann at 0.5"}
    nothing = with_named_values(Known(), controls, "nothing", lambda values, visitor: {})
    assert nothing(Request(), inputs) is None
    assert handler.__name__ == "doubled"
    assert get_type_hints(handler)["request"] is gr.Request
