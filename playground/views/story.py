"""The story of alignment, scene by scene, over the page.

Its modules, texts and data are loaded when it is first opened.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import gradio as gr
from gradio.routes import ORJSONResponse
from starlette.responses import Response

from playground.content.story import scenes
from playground.views.parts import PLOTLY_HEAD, part


def build(words: dict[str, Any]) -> None:
    """Lay out the dialog that the story is told in."""
    # The story has plainer words for rewards.
    rewards = {name: words["story"][name] for name in ("gold", "proxy")}
    texts = {
        "story": words["story"],
        "frontier": words["frontier"],
        "samples": words["samples"] | rewards,
        "shading": words["shading"] | words["samples"] | rewards,
        "axis": words["charts"]["step"],
        "learn": {name: words["learn"][name] for name in ("loop", "chosen", "rejected", "end")},
    }

    @cache  # the story's texts and data are large, and the same for everybody
    def encoded() -> bytes:
        return ORJSONResponse({"words": texts, **scenes()}).body

    def story(request: gr.Request, _: Any) -> Response:
        return Response(encoded(), media_type="application/json")

    part(
        "story",
        "<dialog class='story'></dialog>",
        "masthead/story",
        server_functions=[story],
        head=PLOTLY_HEAD,
    )
