"""The head of the page: scripts that run before anything is drawn, and facts for the modules."""

from __future__ import annotations

import json
from typing import Any

from align_core.config.methods import methods
from playground.content import tasks
from playground.views.parts import STATIC, preloads

_FIRST = ("core/layers", "core/visitor", "core/settings", "talk/present")


def head() -> str:
    """The HTML of the head."""
    scripts = "".join(f"<script>{script(f'{name}.js')}</script>" for name in _FIRST)
    records = f'<script type="application/json" id="records">{_in_script(_records())}</script>'
    return scripts + records + preloads()


def script(name: str) -> str:
    """The text of a script in `static`."""
    return (STATIC / name).read_text(encoding="utf-8")


def _in_script(value: Any) -> str:
    """The value as JSON that cannot end a <script>: file names may contain any text."""
    return json.dumps(value).replace("<", "\\u003c")


def _records() -> dict[str, Any]:
    """The facts about tasks and methods that the page's modules need (records.js)."""
    return {
        "tasks": tasks.available(),
        "methods": {
            name: {
                "makes": method.makes,
                "beta": "beta" in method.options,
                "basic": method.basic,
                "optimum": method.optimum,
                "optima": dict(method.optima),
                "group": method.learns_from if method.reference else "alone",
            }
            for name, method in methods().items()
        },
    }
