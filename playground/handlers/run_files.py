"""`GET /run.zip?run=NAME`: a run as a zip file, for the visitors who may see it.

The file is compressed while it is sent, so that it takes neither memory nor disk space.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from align_core.config.errors import ConfigError
from align_core.runs.client import Client
from playground.people.access import VisibleRuns
from playground.people.client_address import client_address
from playground.people.json_requests import Refused, check_rate
from playground.people.rate_limit import RateLimit
from playground.people.visitors import Visitors
from playground.text.paths import without_folders

LIMIT = (0.2, 10)  # by address: requests per second, and requests at once
MOST_MODEL_BYTES = 200_000_000  # a larger model is left out
_PIECE = 1 << 18  # bytes


def run_files_route(client: Client, visitors: Visitors) -> Route:
    """The route. Runs of others are refused like unknown runs; live runs are refused, too."""
    limit = RateLimit(*LIMIT)

    def answer(request: Request) -> Response:
        try:
            check_rate(limit, client_address())
            visitor, run = visitors.sender(request), request.query_params.get("run", "")
            if not visitors.may_see(visitor, run):
                raise Refused(404, "none", "this is no run of yours")
            if run in client.live():
                raise Refused(409, "live", "this run has not ended")
            config = VisibleRuns(client, visitors, visitor).config(run)
            client.use(run)  # so that it is not pruned while it is sent
        except Refused as error:
            return error.response()
        except ConfigError:  # deleted since
            return Refused(404, "none", "this is no run of yours").response()
        headers = {"Content-Disposition": f'attachment; filename="{run}.zip"'}
        pieces = zipped(client.root / run, config)
        return StreamingResponse(pieces, media_type="application/zip", headers=headers)

    return Route("/run.zip", answer)


def zipped(run: Path, config: dict[str, object]) -> Iterator[bytes]:
    """Yields the pieces of a zip file of a run: `config`, its events, and a model of modest size.

    Folders are removed from paths of the server.
    """
    content = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    target = _Pieces()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(f"{run.name}/config.json", content)
        with (
            (run / "events.jsonl").open(encoding="utf-8", errors="replace") as lines,
            archive.open(f"{run.name}/events.jsonl", "w") as entry,
        ):
            for line in lines:
                is_message = '"kind": "status"' in line
                entry.write((without_folders(line) if is_message else line).encode())
                yield from target.take()
        for file in _model_files(run / "model"):
            name = file.relative_to(run.parent).as_posix()
            if file.name == "adapter_config.json":  # names its base model, which may be a path
                archive.writestr(name, without_folders(file.read_text(encoding="utf-8")))
                continue
            stored = zipfile.ZipInfo(name)  # weights can hardly be compressed
            with file.open("rb") as source, archive.open(stored, "w") as entry:
                while piece := source.read(_PIECE):
                    entry.write(piece)
                    yield from target.take()
    yield from target.take()


def _model_files(folder: Path) -> list[Path]:
    """The files of the model; empty without a model, or if they are too large."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return files if sum(file.stat().st_size for file in files) <= MOST_MODEL_BYTES else []


class _Pieces(io.RawIOBase):
    """A writable file whose content is taken piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: object) -> int:
        self._pieces.append(bytes(piece))  # type: ignore[call-overload]  # a buffer
        return len(self._pieces[-1])

    def take(self) -> list[bytes]:
        pieces, self._pieces = self._pieces, []
        return pieces
