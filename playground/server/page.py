"""Gradio's page as it is served: with further routes, middleware, and limits on connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from playground import text
from playground.handlers.chosen_language import ChosenLanguage
from playground.handlers.housekeeping import Housekeeping
from playground.handlers.rendered import Rendered
from playground.limits import Limits
from playground.people import page_states
from playground.people.addresses import is_loopback
from playground.people.bodies import Bodies
from playground.people.client_address import ClientAddress
from playground.people.connections import ConnectionLimits, guard
from playground.people.malformed_calls import HANDLERS, CheckedCalls, pass_on_refusals
from playground.people.other_sites import OtherSites
from playground.settings import Settings
from playground.views.head import script
from playground.views.parts import static_routes
from playground.voting.room import VotingService

QUEUE_SECONDS = 0.25  # between two polls of Gradio's queue; a shutdown waits for the next one
# Gradio's routes that strangers could misuse: some write what a visitor sends to files or to the
# log, some take the name of a file or of another site, some store invented names or never end an
# answer, and some fail for unknown names. The page needs none of them: it has no component for
# files, and none of its events waits in Gradio's queue.
CLOSED = tuple(
    f"/gradio_api/{path}"
    for path in (
        *("upload", "upload_progress", "process_recording", "deep_link", "dev/reload"),
        *(f"{path}={{rest:path}}" for path in ("file", "proxy")),
        *(f"{path}/{{rest:path}}" for path in ("file", "heartbeat", "stream", "queue", "call")),
        "custom_component/{rest:path}",
    )
)


class Page(CheckedCalls):
    """Gradio's page, with further routes."""

    server: Settings
    voting: VotingService
    housekeeping: Housekeeping
    extra_routes: Sequence[BaseRoute] = ()  # in addition to Gradio's own
    larger_bodies: Mapping[str, int] = MappingProxyType({})  # path -> bytes
    mcp_tools: Any = None  # the MCP server, if any; the app starts and stops it (lifespan)

    def launch(self, **options: Any) -> Any:
        """`Blocks.launch` with this page's routes and middleware; the CLOSED routes answer 403."""
        closed = [Route(path, _closed, methods=["GET", "POST"]) for path in CLOSED]
        page_states.use_page_states()
        pass_on_refusals()
        guard(_connection_limits(self.server.limits, self.server.proxies))
        app_kwargs: dict[str, Any] = {
            "routes": [*closed, *self.extra_routes, *static_routes()],
            "middleware": self._middleware(),
            "exception_handlers": HANDLERS,
            # Otherwise FastAPI looks for these at each request: a twentieth of the process's time.
            "telemetry": {"tracing": False, "metrics": False, "logs": False},
        }
        if self.mcp_tools is not None:
            app_kwargs["lifespan"] = self.mcp_tools.lifespan
        launched = super().launch(app_kwargs=app_kwargs, **options)
        # Gradio's queue, which is always empty, would be polled a thousand times a second.
        self._queue.sleep_when_free = QUEUE_SECONDS
        self._queue.progress_update_sleep_when_free = QUEUE_SECONDS
        return launched

    def _middleware(self) -> list[Middleware]:
        """The middleware; the first one gets a request first."""
        server, languages = self.server, text.languages()
        pages = [f"/{path}" for path in languages.values()]
        return [
            Middleware(
                OtherSites,
                hosts=server.hosts,
                local=is_loopback(server.host),
                frames=server.frames,
            ),
            Middleware(ChosenLanguage, paths=languages),
            Middleware(ClientAddress, proxies=server.proxies),
            Middleware(
                Bodies,
                larger=self.larger_bodies,
                max_bytes=server.limits.body_bytes,
                seconds=server.limits.body_seconds,
            ),
            Middleware(
                Rendered, paths=[*pages, "/config", "/config/"], first=script("core/frames.js")
            ),
        ]


def _connection_limits(limits: Limits, proxies: int | None) -> ConnectionLimits:
    """The limits on connections; a proxy's connections are those of many visitors."""
    by_address = limits.connections_by_address if proxies == 0 else limits.connections
    return ConnectionLimits(
        limits.connections, by_address, limits.head_seconds, limits.body_seconds
    )


async def _closed(request: Request) -> Response:
    return JSONResponse({"why": "closed", "line": "this page has no such route"}, 403)
