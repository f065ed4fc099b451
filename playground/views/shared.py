"""What the views of the page in one language have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from align_core.inference.client import InferenceClient
from align_core.runs.client import Client
from playground.content.recordings import Recording
from playground.handlers.query_handlers import QueryHandlers
from playground.people.access import VisibleModels, VisibleRuns
from playground.people.requests import HandlersOf
from playground.people.run_queue import RunQueue
from playground.people.threads import Threads
from playground.people.visitors import Visitors
from playground.settings import Settings


@dataclass(frozen=True)
class Shared:
    """The runs, models and settings of the server, and the texts in the page's language.

    `recorded` maps the names of recorded runs to the runs. Queries of models are answered in the
    threads `questions`.
    """

    client: Client
    helper: InferenceClient
    queue: RunQueue
    server: Settings
    recorded: Mapping[str, Recording]
    questions: Threads
    words: dict[str, Any]

    @property
    def visitors(self) -> Visitors:
        return self.queue.visitors

    def handlers_of(self, handlers: type[QueryHandlers]) -> HandlersOf:
        """A function that returns the handlers for the visitor who sent a request."""

        def for_sender(request: gr.Request) -> QueryHandlers:
            visitor = self.visitors.sender(request)
            runs = VisibleRuns(self.client, self.visitors, visitor)
            models = VisibleModels(self.helper, self.visitors, visitor)
            return handlers(runs, models, self.words, self.recorded)

        return for_sender
