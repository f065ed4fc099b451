"""The embedded page: its script, styles, words and data in one file that loads nothing else.

What comes from a run is in a JSON block, which the page's script writes as text, never as markup.
The page's content security policy lets it load nothing. Plotly's script comes from its Python
package.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.messages import plain
from align_core.embed.data import page_data
from align_core.runs.directory import RunDirectory
from align_core.runs.events import Event

LANGUAGES = ("en", "zh")
_FOLDER = Path(__file__).parent


def embedded_run(directory: RunDirectory, language: str) -> str:
    """The page of a run on disk. Raises ConfigError as `page_parts` does."""
    config = directory.config.model_dump()
    return embedded_page(directory.path.name, config, directory.events()[0], language)


def embedded_page(name: str, config: Mapping[str, Any], events: list[Event], language: str) -> str:
    """The page of a run in one of the LANGUAGES. Raises ConfigError as `page_parts` does."""
    return b"".join(page_parts(name, config, events, language)).decode()


def page_parts(
    name: str, config: Mapping[str, Any], events: list[Event], language: str
) -> list[bytes]:
    """The parts of the page of a run, in order. All pages share one copy of Plotly's script, which
    is nine tenths of a page.

    Raises:
        ConfigError: plotly is not installed.
    """
    words = json.loads((_FOLDER / "words.json").read_text(encoding="utf-8"))[language]
    parts = {
        "LANGUAGE": words["tag"].encode(),
        "TITLE": words["title"].encode(),
        "STYLE": _read("page.css"),
        "PLOTLY": _plotly(),
        "WORDS": in_script(words).encode(),
        "DATA": in_script(page_data(name, config, events)).encode(),
        "SCRIPT": _read("page.js"),
    }
    # The template is split once, so that placeholders within the parts are not replaced.
    first, *rest = _read("page.html").split(b"{{")
    pieces = [piece.partition(b"}}") for piece in rest]
    return [first, *(part for key, _, after in pieces for part in (parts[key.decode()], after))]


def in_script(value: Any) -> str:
    """The value as JSON that cannot end a <script>."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


@cache
def _plotly() -> bytes:
    try:
        package = distribution("plotly")
    except PackageNotFoundError:
        line = "the page of a run needs plotly: pip install alignment-playground[app]"
        raise ConfigError(plain(line)) from None
    return Path(str(package.locate_file("plotly/package_data/plotly.min.js"))).read_bytes()


def _read(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()
