"""`GET /health`, for a proxy or a watchdog: free disk space, and the numbers of runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from align_core.runs.client import Client
from playground.people.run_queue import RunQueue

MIN_BYTES = 100_000_000  # required free disk space: enough for some small runs


def health_route(client: Client, queue: RunQueue) -> Route:
    """The route. Its answer is an object with `ready`, the numbers of `live` runs and of `queued`
    runs and quick runs, and `disk_left` in bytes; the status is 200 if `ready`, else 503."""

    def answer(request: Request) -> Response:
        folder = _existing(client.root.absolute())
        disk_left = shutil.disk_usage(folder).free
        ready = os.access(folder, os.W_OK) and disk_left >= MIN_BYTES
        state = {
            "ready": ready,
            "live": len(client.live()),
            "queued": queue.length(),
            "disk_left": disk_left,
        }
        return JSONResponse(state, 200 if ready else 503, {"Cache-Control": "no-store"})

    return Route("/health", answer)


def _existing(folder: Path) -> Path:
    """The folder or, if it does not exist, its nearest parent that does."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())
