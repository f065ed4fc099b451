"""The HTTP routes of a visitor's own task. They bypass Gradio, whose uploads are closed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from align_core.config.messages import Message, problem
from playground.content.page_names import page_name
from playground.own import archive
from playground.own.archive import BadFiles
from playground.own.draft import Draft, Error, form_of, stored_files
from playground.own.models import Models
from playground.own.scores import scores
from playground.own.task_saver import TaskSaver
from playground.people.client_address import client_address
from playground.people.json_requests import Body, Refused, check_rate, parse
from playground.people.own_tasks import OwnTasks
from playground.people.rate_limit import RateLimit
from playground.people.threads import Threads
from playground.people.visitors import Visitors
from playground.text import error_messages

EXAMPLE_TEXTS = 3
MAX_FILES = archive.MAX_FILES
# Rate limits by address: requests per second, and requests at once. A moving slider sends requests.
LIMIT, SAVE_LIMIT = (20.0, 100), (0.2, 10)
# A save waits for the process that reads files, one at a time; other requests take milliseconds.
SAVE_THREADS, FORM_THREADS = 4, 4


class _File(Body):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    data: str  # base64


class _Localized(Body):
    language: str = ""  # the tag of the language for the messages in the answer


class _SaveBody(_Localized):
    draft: Draft
    files: Annotated[list[_File], Field(max_length=MAX_FILES)] = []


class _ScoresBody(_Localized):
    reward: Annotated[list[dict[str, Any]], Field(max_length=32)]
    prompt: Annotated[str, Field(max_length=2000)]
    texts: Annotated[list[Annotated[str, Field(max_length=2000)]], Field(max_length=EXAMPLE_TEXTS)]


class OwnRoutes:
    """The routes of `visitors.own`, for `Blocks.launch(app_kwargs={"routes": …})`.

    `catalogues` are the texts of the page in every language, English first.
    """

    def __init__(
        self,
        visitors: Visitors,
        models: Models,
        catalogues: Sequence[Mapping[str, Any]],
    ) -> None:
        self._visitors = visitors
        self._own: OwnTasks = visitors.own
        self._models = models
        self._saver = TaskSaver(visitors.own, models)
        self._english = catalogues[0]
        self._catalogues = {words["language"]["tag"]: words for words in catalogues}
        self._requests = RateLimit(*LIMIT)
        self._saves = RateLimit(*SAVE_LIMIT)
        self._save_threads = Threads("saves", SAVE_THREADS)
        self._form_threads = Threads("forms", FORM_THREADS)
        # The largest request body: base64 takes 4/3 of the files' bytes, and the form has texts.
        self._max_bytes = 2 * self._own.limits.bytes

    def routes(self) -> list[Route]:
        """All routes. Those that may change anything accept only POST."""
        answers = {
            "state": self._state,
            "save": self._save,
            "scores": self._scores,
            "delete": self._delete,
        }
        return [
            *(
                Route(f"/own/{name}", self._guarded(answer), methods=["POST"])
                for name, answer in answers.items()
            ),
            Route("/own/task.zip", self._guarded(self._zip)),
        ]

    def _guarded(
        self, answer: Callable[[Request], Awaitable[Any]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                check_rate(self._requests, client_address())
                content = await answer(request)
            except Refused as error:
                return error.response()
            except OSError:
                return Refused(503, "lost", "nothing was saved: the disk is full").response()
            return content if isinstance(content, Response) else JSONResponse(content)

        return endpoint

    async def _state(self, request: Request) -> dict[str, Any]:
        await parse(request, Body, 1000)
        return await self._form_threads.run(self._form, self._visitor(request))

    async def _save(self, request: Request) -> dict[str, Any]:
        """Save the form and its files as the visitor's task; returns its `state`, or `errors`."""
        check_rate(self._saves, client_address())
        body = await parse(request, _SaveBody, self._max_bytes)
        visitor = self._visitor(request)
        if visitor is None:
            raise Refused(403, "cookies", "this browser keeps no cookies, so it cannot own a task")
        errors = await self._save_threads.run(self._keep, visitor, body)
        if errors:
            say = self._translator(body.language)
            return {"errors": [{"field": field, "line": say(message)} for field, message in errors]}
        return {"errors": [], **await self._form_threads.run(self._form, visitor)}

    async def _scores(self, request: Request) -> dict[str, Any]:
        body = await parse(request, _ScoresBody, 100_000)
        parts = await self._form_threads.run(scores, body.reward, body.prompt, body.texts)
        say = self._translator(body.language)
        return {"parts": [{**part, "errors": [*map(say, part["errors"])]} for part in parts]}

    async def _delete(self, request: Request) -> dict[str, Any]:
        await parse(request, Body, 1000)
        if visitor := self._visitor(request):
            await self._form_threads.run(self._own.delete, visitor)
        return await self._form_threads.run(self._form, visitor)

    async def _zip(self, request: Request) -> Response:
        folder = self._own.folder(self._visitor(request))
        files = await self._form_threads.run(stored_files, folder)
        if not files:
            raise Refused(404, "none", "this visitor has no task")
        content = await self._form_threads.run(archive.packed, files, "task")
        headers = {"Content-Disposition": 'attachment; filename="task.zip"'}
        return Response(content, media_type="application/zip", headers=headers)

    def _keep(self, visitor: str, body: _SaveBody) -> list[Error]:
        """Check and store a task; returns its errors."""
        try:
            dropped = _decoded(body.files, self._own.limits.bytes)
            return self._saver.save(visitor, body.draft, dropped)
        except BadFiles as error:
            return [("files", line) for line in error.lines]

    def _translator(self, language: str) -> Callable[[Message], str]:
        words = self._catalogues.get(language, self._english)
        return lambda message: error_messages.translate(message, words)

    def _form(self, visitor: str | None) -> dict[str, Any]:
        """The visitor's task as the form shows it, or None, and the choices of the form."""
        card, folder = self._own.card(visitor), self._own.folder(visitor)
        task = None
        if card is not None and folder is not None:
            shown = {
                "model": page_name(card.reference),
                "reference": page_name(card.reference),
                "prompt": card.prompt,
                "prepares": card.has_gold,  # whether there is an optimum to prepare
            }
            task = form_of(folder) | shown
        limits = asdict(self._own.limits)
        return {"task": task, "limits": limits, **self._models.choices()}

    def _visitor(self, request: Request) -> str | None:
        return self._visitors.sender(request)


def _decoded(files: list[_File], max_bytes: int) -> dict[str, bytes]:
    """Name -> content. Raises BadFiles if the files are too large, or two have the same name."""
    contents: dict[str, bytes] = {}
    try:
        for file in files:
            if file.name in contents:
                raise BadFiles(archive.file_error(file.name, archive.second_file()))
            contents[file.name] = base64.b64decode(file.data, validate=True)
    except binascii.Error:
        raise BadFiles(problem("base64", "expected base64")) from None
    if (size := sum(map(len, contents.values()))) > max_bytes:
        raise BadFiles(archive.too_large(max_bytes, size))
    return contents
