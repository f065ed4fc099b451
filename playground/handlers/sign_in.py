"""Signing in as a presenter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import gradio as gr

from playground.people.client_address import client_address
from playground.people.visitors import Visitors


def sign_in(visitors: Visitors) -> Callable[..., Any]:
    """A function for Gradio that takes a key, and returns whether it makes its sender a presenter.

    It answers after the seconds that `Presenters.begin_attempt` returns.
    """

    # Gradio sets attributes on the functions that it serves, which bound methods do not allow.
    async def sign_in(request: gr.Request, key: Any) -> bool:
        address = client_address()
        await asyncio.sleep(visitors.presenters.begin_attempt(address))
        return visitors.presenters.sign_in(visitors.sender(request), key, address)

    return sign_in
