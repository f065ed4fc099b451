"""The routes with which `gradio_client` and, if wanted, MCP clients call the functions.

The page's own functions stay closed to these clients. A client gets Gradio's description of the
functions; its calls do not pass through Gradio's queue (see `answers`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

import gradio as gr
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from playground.endpoints.answers import Answer, Answers
from playground.endpoints.functions import Function, functions
from playground.endpoints.questions import NotAnswered, Questions
from playground.people.json_requests import Body, Refused, parse

PATH = "/api"
MAX_BYTES = 50_000  # of a call; a text has at most 2,000 characters


class _Call(Body):
    model_config = ConfigDict(extra="ignore", strict=True)  # clients send more, for Gradio's queue

    fn_index: int
    data: list[Any]
    session_hash: Annotated[str, Field(min_length=1, max_length=64)]


class EndpointRoutes:
    """The routes. They raise Refused, which their app must answer (`malformed_calls.HANDLERS`).

    With `mcp` the functions are also tools of an MCP server, `mcp_server`. The app must be launched
    with the `lifespan` of that server, which starts and stops it.
    """

    def __init__(self, questions: Questions, mcp: bool) -> None:
        with gr.Blocks(title="Alignment Playground") as blocks:
            for function in functions(questions):
                gr.api(function, queue=False)
        self._config, self._info = blocks.get_config_file(), blocks.get_api_info()
        self._functions = blocks.fns
        self._answers = Answers()
        self.mcp_server = None
        if mcp:
            from playground.endpoints.mcp_server import McpServer  # imports PIL and more

            self.mcp_server = McpServer(blocks)

    def routes(self) -> list[BaseRoute]:
        """All routes."""
        mcp: list[BaseRoute] = []
        if self.mcp_server is not None:
            paths = (f"{PATH}/gradio_api/mcp{end}" for end in ("", "/"))
            mcp = [Route(path, self.mcp_server, methods=["POST"]) for path in paths]
        return [
            Route(f"{PATH}/config", _json_endpoint(self._config)),
            Route(f"{PATH}/gradio_api/info", _json_endpoint(self._info)),
            Route(f"{PATH}/gradio_api/queue/join", self._join, methods=["POST"]),
            Route(f"{PATH}/gradio_api/queue/data", self._data),
            *mcp,
        ]

    async def _join(self, request: Request) -> Response:
        """Start to answer a call; returns the id of the answer. Raises Refused."""
        call = await parse(request, _Call, MAX_BYTES)
        function = self._functions.get(call.fn_index)
        if function is None:
            raise Refused(404, "unknown", "expected the index of one of the functions")
        if len(call.data) != len(function.inputs):
            expected = f"expected {len(function.inputs)} values, got {len(call.data)}"
            raise Refused(422, "malformed", expected)
        answer = _completed(function.fn, request, *call.data)
        return JSONResponse({"event_id": self._answers.ask(call.session_hash, answer)})

    async def _data(self, request: Request) -> Response:
        """The answers of a session, as events until the last one has been sent. Raises Refused."""
        session = request.query_params.get("session_hash", "")
        if not self._answers.has(session):
            raise Refused(404, "unknown", "expected the session_hash of a call whose answer is due")
        return StreamingResponse(self._events(session), media_type="text/event-stream")

    async def _events(self, session: str) -> AsyncIterator[str]:
        async for taken in self._answers.take(session):
            if taken is None:
                yield _event({"msg": "heartbeat"})
            else:
                name, answer = taken
                yield _event({"msg": "process_completed", "event_id": name, **answer})
        yield _event({"msg": "close_stream", "event_id": None})


def _json_endpoint(description: Any) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return JSONResponse(description)

    return endpoint


async def _completed(function: Function, *arguments: Any) -> Answer:
    """The result of a call in the form in which Gradio's queue sends it."""
    try:
        return {"success": True, "output": {"data": [await function(*arguments)]}}
    except NotAnswered as error:
        return {"success": False, "output": {"error": str(error), "title": "Error"}}


def _event(message: Answer) -> str:
    return f"data: {json.dumps(message)}\n\n"
