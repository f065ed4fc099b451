"""The part below the Run button: queue, sharing, sign-in, and the terms of this server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from playground.settings import Settings
from playground.views.parts import part

_TEMPLATE = """
<p class="line" role="status" hidden></p>
<button type="button" class="watch" hidden></button>
<label class="share" hidden><input type="checkbox"> <span></span></label>
<p class="presents" role="status" hidden></p>
<details class="sign_in" hidden><summary></summary>
  <form><input type="password" autocomplete="off" maxlength="1000"> <button></button></form>
</details>
<p class="terms" hidden></p>
"""


def build(functions: list[Callable[..., Any]], words: dict[str, Any], server: Settings) -> gr.HTML:
    """The part `visit`, which calls the server's `functions` "share" and "sign_in"."""
    return part(
        "visit",
        _TEMPLATE,
        "train/visit",
        server_functions=functions,
        words=words["visitors"] | {name: words[name] for name in ("methods", "tasks")},
        terms=terms(words["visitors"]["terms"], server),
        has_key=server.presenter_key is not None,
    )


def terms(words: dict[str, str], server: Settings) -> list[str]:
    """The terms that apply on this server, one sentence each."""
    limits = server.limits
    applies = {
        "limit": server.time_limit is not None,
        "zero_gpu": server.zero_gpu,
        "restart": server.on_space,
        "run_days": limits.run_days is not None,
        "megabytes": limits.megabytes is not None,
        "vote_days": limits.vote_days is not None,
    }
    values = {name: getattr(limits, name) for name in ("run_days", "megabytes", "vote_days")}
    values["seconds"] = f"{server.time_limit or 0:g}"
    return [words[name].format(**values) for name, is_shown in applies.items() if is_shown]
