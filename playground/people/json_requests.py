"""Requests with JSON bodies to the routes beside Gradio's: limits, validation and refusals.

A refused request changes nothing; the response is {"why", "line"} with a status of 4xx or 503.
Clients' addresses are kept in memory only, for the rate limits.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

from playground.people import log
from playground.people.addresses import is_private
from playground.people.rate_limit import RateLimit
from playground.text.paths import without_folders


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Refused(Exception):
    """A request that changed nothing: the HTTP status, the key of the reason, and a message, whose
    paths lose their folders."""

    def __init__(self, status: int, why: str, message: str) -> None:
        super().__init__(message)
        self.status, self.why, self.message = status, why, without_folders(message)

    def response(self) -> JSONResponse:
        log.refused("request", self.why)
        return JSONResponse({"why": self.why, "line": self.message}, self.status)


class RateLimited(Refused):
    def __init__(self, seconds: float) -> None:
        super().__init__(429, "often", f"too many requests: go on in {seconds:.1f} s")
        self.seconds = seconds

    def response(self) -> JSONResponse:
        response = super().response()
        response.headers["Retry-After"] = str(math.ceil(self.seconds))
        return response


def check_rate(limit: RateLimit, key: str) -> None:
    """Raises RateLimited if there are too many requests with this key."""
    if seconds := limit.wait(key):
        raise RateLimited(seconds)


def address(request: Request, proxies: int | None) -> str:
    """The client's address, where so many `proxies` are in front of this server.

    Each appends the address that it is asked from to X-Forwarded-For, so the client's is that many
    from the end, and what stands further left may be invented. With None, any number of proxies
    with private addresses, it is the last one that is not private.
    """
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
    if proxies == 0 or not forwarded:
        return request.client.host if request.client else ""
    chain = [entry.strip() for entry in reversed(forwarded.split(","))]
    if proxies is None:
        return next(itertools.filterfalse(is_private, chain), chain[0])
    return chain[min(proxies, len(chain)) - 1]


async def parse(request: Request, kind: type[Body], most_bytes: int) -> Any:
    """The body of a request, as `kind`. Raises Refused if it is malformed or over `most_bytes`."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most_bytes:
            raise Refused(413, "malformed", f"a request takes at most {most_bytes} bytes")
    try:
        return kind.model_validate_json(bytes(content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise Refused(422, "malformed", f"{where}: {first['msg']}") from None
