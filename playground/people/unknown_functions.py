"""Requests for functions that the page does not have. Gradio would log a traceback for each."""

from __future__ import annotations

import traceback

from gradio.route_utils import FnIndexInferError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

# Functions of Gradio in which a KeyError means an unknown index, or a form without a function.
_LOOKUPS = ("get_fn", "get_item_or_file")


async def _not_found(request: Request, error: Exception) -> Response:
    if (
        isinstance(error, KeyError)
        and traceback.extract_tb(error.__traceback__)[-1].name not in _LOOKUPS
    ):
        raise error
    return JSONResponse({"why": "unknown", "line": "this page has no such function"}, 404)


HANDLERS = {FnIndexInferError: _not_found, KeyError: _not_found}
