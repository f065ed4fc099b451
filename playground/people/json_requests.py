"""Requests with JSON bodies to routes other than Gradio's: limits, validation and refusals.

A refused request changes nothing; the response is {"why", "line"} with a status of 4xx or 503.
"""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

from playground.people import log
from playground.people.rate_limit import RateLimit
from playground.text.paths import without_folders


class Body(BaseModel):
    """A JSON body without unknown keys; subclasses add its keys."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Refused(Exception):
    """A refused request: the HTTP status, the key of the reason, and a message.

    Paths in the message are reduced to their last part.
    """

    def __init__(self, status: int, why: str, message: str) -> None:
        super().__init__(message)
        self.status, self.why, self.message = status, why, without_folders(message)

    def response(self) -> JSONResponse:
        log.refused("request", self.why)
        return JSONResponse({"why": self.why, "line": self.message}, self.status)


class RateLimited(Refused):
    """A request beyond a rate limit; another one is accepted in `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(429, "often", f"too many requests: try again in {seconds:.1f} s")
        self.seconds = seconds

    def response(self) -> JSONResponse:
        response = super().response()
        response.headers["Retry-After"] = str(math.ceil(self.seconds))
        return response


def check_rate(limit: RateLimit, key: str) -> None:
    """Raises RateLimited if there are too many requests with this key."""
    if seconds := limit.wait(key):
        raise RateLimited(seconds)


async def parse(request: Request, kind: type[Body], max_bytes: int) -> Any:
    """The body of a request, as `kind`. Raises Refused if it is malformed or over `max_bytes`."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > max_bytes:
            expected = f"expected a body of at most {max_bytes} bytes, got more"
            raise Refused(413, "malformed", expected)
    try:
        return kind.model_validate_json(bytes(content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"])) or "the body"
        raise Refused(422, "malformed", f"{key}: {first['msg']}") from None
