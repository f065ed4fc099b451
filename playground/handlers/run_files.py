"""`GET /run.zip?run=NAME` and `/run.html?run=NAME&lang=zh`: a run as a zip file, and as a page.

Both are for the visitors who may see the run. The zip file is compressed while it is sent, so that
it takes neither memory nor disk space. The largest part of a page, Plotly, is in memory only once.
The rest is composed in one thread, and the last KEPT_PAGES pages are kept, because all students of
a class may ask for the same one.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from align_core.config.errors import ConfigError
from align_core.config.model_index import DIFFERENCE
from align_core.embed.page import LANGUAGES, page_parts
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from align_core.runs.event_schema import parse
from align_core.runs.readme import TASK_FOLDER, readme
from playground.content.recordings import Recording
from playground.people.client_address import client_address
from playground.people.json_requests import Refused, check_rate
from playground.people.rate_limit import RateLimit
from playground.people.threads import Threads
from playground.people.visitors import Visitors
from playground.text.paths import without_folders

# By address: requests per second, and requests at once. A whole class may have one address.
LIMIT, PAGE_LIMIT = (0.2, 10), (0.2, 40)
MAX_MODEL_BYTES = 200_000_000  # a larger model is left out
KEPT_PAGES = 16
_PIECE = 1 << 18  # bytes


class RunFiles:
    """The routes. They send runs that have ended, and the `recorded` runs, which everyone may have.

    Runs of others are refused like unknown runs, and so are live runs.
    """

    def __init__(
        self, client: Client, visitors: Visitors, recorded: Mapping[str, Recording]
    ) -> None:
        self._client = client
        self._visitors = visitors
        self._recorded = recorded
        self._zips, self._pages = RateLimit(*LIMIT), RateLimit(*PAGE_LIMIT)
        self._threads = Threads("run pages", 1)
        self._page = lru_cache(KEPT_PAGES)(_page)

    def routes(self) -> list[Route]:
        return [Route("/run.zip", self._send_zip), Route("/run.html", self._send_page)]

    def _send_zip(self, request: Request) -> Response:
        try:
            run = self._allowed(request, self._zips)
            sender = self._visitors.sender(request)
            config = self._visitors.page_config(sender, run.config.model_dump())
            task = self._visitors.own.folder_of(sender, run.config.task)
        except Refused as error:
            return error.response()
        except ConfigError:  # deleted since
            return _none().response()
        headers = _saved_as(f"{run.path.name}.zip")
        pieces = zipped(run.path, config, task)
        return StreamingResponse(pieces, media_type="application/zip", headers=headers)

    async def _send_page(self, request: Request) -> Response:
        language = request.query_params.get("lang")
        language = language if language in LANGUAGES else LANGUAGES[0]
        try:
            name, parts = await self._threads.run(self._parts, request, language)
        except Refused as error:
            return error.response()
        except ConfigError:  # deleted since
            return _none().response()
        headers = _saved_as(f"{name}.html")
        headers["Content-Length"] = str(sum(map(len, parts)))
        return StreamingResponse(_pieces(parts), media_type="text/html", headers=headers)

    def _parts(self, request: Request, language: str) -> tuple[str, list[bytes]]:
        """The name of the requested run, and the parts of its page. Raises as `_allowed`."""
        run = self._allowed(request, self._pages)
        return run.path.name, self._page(run.path, run.size(), language)

    def _allowed(self, request: Request, limit: RateLimit) -> RunDirectory:
        """The requested run. Raises Refused if the sender may not have it, or not yet."""
        check_rate(limit, client_address())
        run = request.query_params.get("run", "")
        if run in self._recorded:
            return RunDirectory(self._recorded[run].preset.recording)
        if not self._visitors.may_see(self._visitors.sender(request), run):
            raise _none()
        if run in self._client.live():
            raise Refused(409, "live", "this run has not ended")
        self._client.use(run)  # so that it is not pruned while it is sent
        return RunDirectory(self._client.root / run)


def _none() -> Refused:
    return Refused(404, "none", "this run is not yours")


def _saved_as(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _page(folder: Path, size: int, language: str) -> list[bytes]:
    """The page of a run, in parts. `size`, the bytes of its log, makes the cache read the log again
    if the run was resumed."""
    run = RunDirectory(folder)
    return page_parts(folder.name, run.config.model_dump(), run.events()[0], language)


async def _pieces(parts: Sequence[bytes]) -> AsyncIterator[memoryview]:
    """Yields pieces so small that a slow connection does not hold a copy of a whole page."""
    for part in parts:
        for start in range(0, len(part), _PIECE):
            yield memoryview(part)[start : start + _PIECE]


def zipped(run: Path, config: dict[str, Any], task: Path | None = None) -> Iterator[bytes]:
    """Yields the pieces of a zip file of a run: `config`, its events, its model (`_model_files`), a
    README.md, and, from the folder `task`, the files of the task if it is the visitor's own.

    Paths of the server are reduced to their last part.
    """
    if task is not None:
        config = {**config, "task": TASK_FOLDER}
    content = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    target, model, events = _Pieces(), _model_files(run / "model"), []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(f"{run.name}/config.json", content)
        with (
            (run / "events.jsonl").open(encoding="utf-8", errors="replace") as lines,
            archive.open(f"{run.name}/events.jsonl", "w") as entry,
        ):
            for line in lines:
                is_message = '"kind": "status"' in line
                entry.write((without_folders(line) if is_message else line).encode())
                if '"kind": "samples"' not in line:  # long, and not in the README
                    events.append(parse(line.encode()))
                yield from target.take()
        readme_text = readme(
            run.name, config, [*filter(None, events)], bool(model), task is not None
        )
        archive.writestr(f"{run.name}/README.md", readme_text)
        if task is not None:
            for file in sorted(path for path in task.rglob("*") if path.is_file()):
                name = f"{run.name}/{TASK_FOLDER}/{file.relative_to(task).as_posix()}"
                yield from _copied(file, name, archive, target)
        for file in model:
            name = file.relative_to(run.parent).as_posix()
            if file.name == "adapter_config.json":  # names its base model, which may be a path
                archive.writestr(name, without_folders(file.read_text(encoding="utf-8")))
                continue
            # Weights can hardly be compressed.
            yield from _copied(file, zipfile.ZipInfo(name), archive, target)
    yield from target.take()


def _copied(
    file: Path, name: str | zipfile.ZipInfo, archive: zipfile.ZipFile, target: _Pieces
) -> Iterator[bytes]:
    """Yields the pieces of the archive while the file is added to it."""
    with file.open("rb") as source, archive.open(name, "w") as entry:
        while piece := source.read(_PIECE):
            entry.write(piece)
            yield from target.take()


def _model_files(folder: Path) -> list[Path]:
    """The files of a model to send; none if there is no model, or if they have more than
    MAX_MODEL_BYTES. A recorded model that is stored as its DIFFERENCE from an embedded one is not
    sent either: it can be loaded only by this package, which contains it."""
    if (folder / DIFFERENCE).is_file():
        return []
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return files if sum(file.stat().st_size for file in files) <= MAX_MODEL_BYTES else []


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
