"""Gradio's state of each open page: the components that its events have changed.

Gradio also copies the configuration of all components, for deep links, which this page does not
offer: 230 kB and 15 ms for each new page. And it discards the oldest state when there are too many,
so a client that invents sessions could evict the states of other visitors' pages.
"""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

from gradio import routes, state_holder

from playground.people.client_address import client_address

MAX_CHARACTERS = 64  # of the name of a session, which a page invents


class PageState(state_holder.SessionState):
    """The state of one page."""

    def __init__(self, blocks: Any) -> None:
        # The base class copies the default state of the blocks, and describes each component.
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks=()))

    def _update_config(self, key: int) -> None:
        """Do not describe a component that an event has replaced."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Do not describe a component whose value an event has changed."""


class PageStates(state_holder.StateHolder):
    """The states by the names of sessions. If there are too many, the address with the most states
    loses its oldest one."""

    def __init__(self) -> None:
        super().__init__()
        self._addresses: dict[str, str] = {}  # session -> address of its page

    def __getitem__(self, session_id: str) -> state_holder.SessionState:
        session = session_id[:MAX_CHARACTERS]
        if session not in self.session_data:
            self.session_data[session] = PageState(self.blocks)
            self._addresses[session] = client_address()
        return super().__getitem__(session)

    def update(self, session_id: str) -> None:
        """Note that the state is used, and make room if necessary."""
        with self.lock:
            self.session_data.move_to_end(session_id)
            if len(self.session_data) > self.capacity:
                ((busiest, _),) = Counter(self._addresses.values()).most_common(1)
                sessions = (name for name in self.session_data if self._addresses[name] == busiest)
                oldest = next(sessions)
                del self.session_data[oldest], self._addresses[oldest]
                self.time_last_used.pop(oldest, None)


def use_page_states() -> None:
    """Let every server that Gradio starts from now on have `PageStates`."""
    routes.StateHolder = PageStates
