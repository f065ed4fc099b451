"""The functions as tools of Gradio's MCP server, which needs the package `mcp`."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
from gradio.mcp import GradioMCPServer
from starlette.types import Receive, Scope, Send

from playground.people.client_address import client_address
from playground.people.json_requests import RateLimited, check_rate
from playground.people.rate_limit import RateLimit

LIMIT = (5.0, 50)  # by address: requests per second, and requests at once


class McpServer(GradioMCPServer):
    """The MCP server of `blocks`, as an ASGI app for POST requests. Its results are JSON."""

    def __init__(self, blocks: gr.Blocks) -> None:
        super().__init__(blocks)
        self._limit = RateLimit(*LIMIT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            check_rate(self._limit, client_address())
        except RateLimited as error:
            await error.response()(scope, receive, send)
        else:
            await self.handle_streamable_http(scope, receive, send)

    def postprocess_output_data(self, data: Any, root_url: str) -> list[Any]:
        """The results of a tool, none of which is a file."""
        texts = [json.dumps(result, ensure_ascii=False) for result in data]
        return [self.types.TextContent(type="text", text=text) for text in texts]
