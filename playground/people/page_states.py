"""Gradio's state of each open page, without a copy of the configuration of all components.

Only deep links need that copy, which this page does not offer. It takes 230 kB and 15 ms for each
newcomer.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gradio import state_holder


class PageState(state_holder.SessionState):
    """The components that the events of a page have changed."""

    def __init__(self, blocks: Any) -> None:
        # Of the blocks it copies the default state, and describes each of their components.
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks=()))

    def _update_config(self, key: int) -> None:
        """Do not describe a component that an event has replaced."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Do not describe a component whose value an event has changed."""


def keep_small() -> None:
    """Let every server that Gradio starts from now on keep `PageState`s."""
    state_holder.SessionState = PageState
