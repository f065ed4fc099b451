"""Parts of the page: a fixed template, and a module that draws data into it."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from playground.content import charts

_PLOTLY = f"playground/plotly-{version('plotly')}.js"
# The `head` of a part that draws with Plotly.
PLOTLY_HEAD = f'<script src="{_PLOTLY}"></script>'
STATIC = Path(__file__).parents[1] / "static"
_TEXT_FONT = "fonts/inter-latin.woff2"
_FOREVER = "public, max-age=31536000, immutable"


def part(
    name: str, template: str, module: str, events: tuple[str, ...] = (), **props: Any
) -> gr.HTML:
    """The part `name`: a fixed template, and the module of `static` whose `mount` draws into it.

    `mount` is called with Gradio's {element, props, server, watch}, and with `events`, where
    `events.NAME()` triggers the event of the part that has the same name in Python.
    """
    # Gradio finds the events by their quoted names in this script.
    triggers = ", ".join(f'{event}: () => trigger("{event}")' for event in events)
    script = f"""import(new URL("{address(f"{module}.js")}", document.baseURI))
  .then(({{ mount }}) => mount({{ element, props, server, watch, events: {{ {triggers} }} }}));"""
    return gr.HTML(
        html_template=template,
        js_on_load=script,
        apply_default_css=False,
        elem_id=name,
        **props,
    )


class _Forever(StaticFiles):
    """Files that browsers may cache forever, because a changed file has another address."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = _FOREVER
        return response


def _version() -> str:
    content = hashlib.sha256()
    for file in sorted(STATIC.rglob("*.*")):
        content.update(file.read_bytes())
    return content.hexdigest()[:12]


# The version is in the path, so that relative imports between modules keep it.
_ADDRESS = f"playground/{_version()}"


def address(file: str) -> str:
    """The address of a file of `static`, relative to the base of the page's document."""
    return f"{_ADDRESS}/{file}"


def static_routes() -> list[BaseRoute]:
    """Serve `static` and Plotly, for `Blocks.launch(app_kwargs={"routes": …})`.

    Gradio's own route for files has paths of the server in its addresses, and does not tell
    browsers how long they may keep a file.
    """
    return [Route(f"/{_PLOTLY}", _plotly), Mount(f"/{_ADDRESS}", _Forever(directory=STATIC))]


def _plotly(request: Request) -> Response:
    return FileResponse(charts.PLOTLY, headers={"Cache-Control": _FOREVER})


def preloads() -> str:
    """Links for the head: modules load in parallel, not after the modules that import them, and the
    text font comes before the first texts. The modules of the story are loaded when it is opened.
    """
    modules = (
        file.relative_to(STATIC).as_posix()
        for file in sorted(STATIC.rglob("*.js"))
        if "\nexport " in file.read_text("utf-8")
    )
    links = "".join(
        f'<link rel="modulepreload" href="{address(module)}">'
        for module in modules
        if not module.startswith("story/")
    )
    return f'{links}<link rel="preload" as="font" crossorigin href="{address(_TEXT_FONT)}">'
