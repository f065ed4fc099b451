"""The page, put together: the views, their client, and how Gradio is to serve them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gradio as gr

from align_core.client import Client
from playground import charts, text
from playground.views import train

RUNS = Path(__file__).resolve().parents[1] / "runs"
_HERE = Path(__file__).parent
_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]


def build(client: Client, language: str = "en") -> gr.Blocks:
    """The whole page, every view of which starts and reads runs through `client`."""
    words = text.load(language)
    with gr.Blocks(title=words["title"], fill_width=True) as page:
        gr.HTML(f"<h1>{words['title']}</h1><p>{words['tagline']}</p>", elem_id="masthead")
        train.build(page, client, words)
    return page


def launch_options() -> dict[str, Any]:
    """Arguments of `Blocks.launch`: look, address, and nothing that a shared screen should show."""
    gr.set_static_paths([charts.PLOTLY])
    on_spaces = "SPACE_ID" in os.environ
    return {
        "server_name": os.environ.get(
            "GRADIO_SERVER_NAME", "0.0.0.0" if on_spaces else "127.0.0.1"
        ),
        "server_port": int(os.environ.get("GRADIO_SERVER_PORT", "7860")),
        "theme": gr.themes.Base(font=_FONTS, font_mono=_MONO),
        "css_paths": [_HERE / "style.css"],
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "share": False,
        "state_session_capacity": 500,
        "max_file_size": "20mb",
    }


def main() -> None:
    """Serve the page until Ctrl-C. A live run is stopped then, and its model kept."""
    client = Client(Path(os.environ.get("PLAYGROUND_RUNS", RUNS)))
    try:
        page = build(client)
        page.launch(**launch_options(), prevent_thread_lock=True)
        client.warm()
        page.block_thread()
    finally:
        client.close()
