"""Requests that Gradio cannot answer: calls of an unknown function or with values that a control
cannot have, and paths that are too long for a file.

Gradio would answer 500 and log a traceback for each. Here they are refused with one line.
"""

from __future__ import annotations

import errno
import traceback
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from gradio import utils
from gradio.blocks import BlockFunction
from gradio.route_utils import FnIndexInferError
from gradio.state_holder import SessionState
from starlette.requests import Request
from starlette.responses import Response

from align_core.config.errors import shown
from playground.people.json_requests import Refused

# Functions of Gradio in which a KeyError means an unknown index, or a request without a function.
_LOOKUPS = ("get_fn", "get_item_or_file", "component_server")
_error_payload = utils.error_payload


class CheckedCalls(gr.Blocks):
    """Blocks that call a function only with values that its controls can have."""

    async def preprocess_data(
        self,
        block_fn: BlockFunction,
        inputs: list[Any],
        state: SessionState | None,
        explicit_call: bool = False,
    ) -> list[Any]:
        """The arguments of a function, from the values of its controls.

        Raises Refused if the function runs only in the browser, if values are missing, or if a
        control cannot have its value.
        """
        if block_fn.fn is None:
            raise _unknown()
        if len(inputs) < len(block_fn.inputs):
            expected = f"expected {len(block_fn.inputs)} values, got {len(inputs)}"
            raise Refused(422, "malformed", expected)
        try:
            return await super().preprocess_data(block_fn, inputs, state, explicit_call)
        except Exception:  # each component raises exceptions of its own
            blocks = [state[b._id] if state and b._id in state else b for b in block_fn.inputs]
            raise Refused(422, "malformed", _problem(blocks, inputs)) from None


def _problem(blocks: list[Any], values: list[Any]) -> str:
    """One line about the first of the values that its control cannot have."""
    for block, value in zip(blocks, values, strict=False):
        several = isinstance(block, gr.CheckboxGroup)
        if not hasattr(block, "choices") or (value is None and not several):
            continue
        choices = [choice for _, choice in block.choices]
        chosen = value if several and isinstance(value, list) else [value]
        if any(value not in choices for value in chosen):
            expected = f"{'a list of some' if several else 'one'} of {choices}"
            return f"{block.elem_id}: expected {expected}, got {shown(value)}"
    return "expected values that the page's controls can have, got a file or another kind of value"


def _unknown() -> Refused:
    return Refused(404, "unknown", "this page has no such function")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error.response()


async def _not_found(request: Request, error: Exception) -> Response:
    if (
        isinstance(error, KeyError)
        and traceback.extract_tb(error.__traceback__)[-1].name not in _LOOKUPS
    ):
        raise error
    return _unknown().response()


async def _no_file(request: Request, error: Exception) -> Response:
    """The answer to a path that the file system refuses as too long."""
    if not isinstance(error, OSError) or error.errno != errno.ENAMETOOLONG:
        raise error
    return Refused(404, "unknown", "this page has no such file").response()


async def _invalid(request: Request, error: Exception) -> Response:
    """The answer to a body that FastAPI refuses. FastAPI's own answer would repeat the body, and
    fail if there is a NaN in it."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"][1:])) or "the body"
    return Refused(422, "malformed", f"{where}: {first['msg']}").response()


HANDLERS = {
    FnIndexInferError: _not_found,
    KeyError: _not_found,
    OSError: _no_file,
    Refused: _refused,
    RequestValidationError: _invalid,
}


def _payload(error: BaseException | None, show_error: bool) -> dict[str, Any]:
    if isinstance(error, Refused):
        raise error
    return _error_payload(error, show_error)


def pass_on_refusals() -> None:
    """Let the HANDLERS answer a call that raised Refused; Gradio itself would answer 500."""
    utils.error_payload = _payload
