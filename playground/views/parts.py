"""Parts of the page that their own scripts draw, from data and never from templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from playground.content import charts

# The `head` of a part that draws with Plotly.
PLOTLY_HEAD = f'<script src="gradio_api/file={charts.PLOTLY}"></script>'
_STATIC = Path(__file__).parents[1] / "static"


def part(name: str, template: str, *scripts: str, **props: Any) -> gr.HTML:
    """The part `name`: a fixed template and its scripts, one after the other in one scope."""
    named = ("core/elements", *scripts)
    code = [(_STATIC / f"{script}.js").read_text(encoding="utf-8") for script in named]
    return gr.HTML(
        html_template=template,
        js_on_load="\n".join(code),
        apply_default_css=False,
        elem_id=name,
        **props,
    )
