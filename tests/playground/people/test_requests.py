"""Handlers as Gradio calls them."""

from __future__ import annotations

from typing import get_type_hints

import gradio as gr

from playground.people.requests import served


class Handlers:
    def __init__(self, who):
        self.who = who

    def runs(self, task):
        return self.who, task

    def score(self, asked):
        return asked


def test_methods_are_served_by_their_names_on_the_handlers_of_who_asks():
    runs, score = served(Handlers, Handlers.runs, Handlers.score)
    assert (runs.__name__, score.__name__) == ("runs", "score")
    assert (runs("a visitor", "reviews"), score("another", 7)) == (("a visitor", "reviews"), 7)
    assert get_type_hints(runs)["request"] is gr.Request  # so that Gradio gives it one
