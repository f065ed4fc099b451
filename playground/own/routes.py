"""The HTTP routes of a visitor's own task. They bypass Gradio, whose uploads are closed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from align_core.config.messages import Message, from_event, problem
from align_core.config.task_card import from_row
from align_core.tasks.folder.files import TASK_FILE
from playground.content.page_names import page_name
from playground.own import archive, reader
from playground.own.archive import BadFiles
from playground.own.draft import Draft, Error, files_of, form_of, stored_files
from playground.own.models import Models
from playground.own.scores import scores
from playground.people.client_address import client_address
from playground.people.json_requests import Body, Refused, check_rate, parse
from playground.people.own_tasks import Full, OwnTasks
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
        limits, draft = self._own.limits, body.draft
        stored = stored_files(self._own.folder(visitor))
        try:
            dropped = _decoded(body.files, limits.bytes)
            files, errors = files_of(draft, dropped, stored, limits.unpacked)
        except BadFiles as error:
            return [("files", line) for line in error.lines]
        model, model_error = self._models.checked(draft.model)
        errors += [("model", model_error)] if model_error else []
        if (size := sum(map(len, files.values()))) > limits.unpacked:
            return [*errors, ("files", _too_large(limits.unpacked, size))]
        is_whole = any(name == TASK_FILE or name.lower().endswith(".zip") for name in dropped)
        if not is_whole:
            errors += self._refused_parts(draft.reward)
        with self._own.staged(files) as folder:
            answer = reader.read(folder)
            messages = map(from_event, answer["errors"])
            file_errors = [
                ("files", message) if is_whole else _in_form(message, files) for message in messages
            ]
            # Missing prompts are an error of the form already.
            errors += [error for error in file_errors if error[0] or not errors]
            if not answer["errors"]:
                errors += self._over_limits(answer)
                if is_whole:
                    refused = self._refused_parts(form_of(folder)["reward"])
                    errors += [("files", message) for _, message in refused]
            if errors:
                return errors
            card = replace(from_row(answer["card"]), reference=model)
            try:
                self._own.keep(visitor, folder, card, files)
            except Full as error:
                return [("", error.message)]
        return []

    def _over_limits(self, answer: dict[str, Any]) -> list[Error]:
        limits, counts = self._own.limits, answer["counts"]
        amounts = {
            "prompts": (counts["train"] + counts["probe"] + counts["heldout"], limits.prompts),
            "pairs": (counts["pairs"], limits.pairs),
            "max_new_tokens": (counts["tokens"], limits.tokens),
        }
        text = "expected at most {most} on this server, got {got}"
        errors = [
            (field, problem("server_limit", text, most=limit, got=got))
            for field, (got, limit) in amounts.items()
            if got > limit
        ]
        if counts["longest"] > limits.characters:
            text = "expected prompts of at most {most} characters, got one of {got}"
            message = problem("long_prompt", text, most=limits.characters, got=counts["longest"])
            errors.append(("prompts", message))
        return errors

    def _refused_parts(self, parts: Sequence[Mapping[str, Any]]) -> list[Error]:
        """An error for each part whose reward model may not be used here."""
        return [
            (f"reward.{at}.model", problem("key", "{key}: {what}", key="model", what=message))
            for at, part in enumerate(parts)
            if part.get("kind") == "reward_model"
            and (message := self._models.reward_model_problem(str(part.get("model", ""))))
        ]

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
        raise BadFiles(_too_large(max_bytes, size))
    return contents


def _too_large(max_bytes: int, size: int) -> Message:
    return problem("bytes", "expected at most {most} bytes, got {got}", most=max_bytes, got=size)


def _in_form(error: Message, files: Mapping[str, bytes]) -> Error:
    """The field of the form for an error in a file, and the error without the name of a file that
    the form wrote."""
    if error.code not in ("at", "more_errors"):
        return "", error
    place = from_event(error.values["place"]).values
    file, number = place["file"], place.get("number")
    if file == TASK_FILE:
        return "", from_event(error.values["what"]) if error.code == "at" else error
    field = {"prompts.txt": "prompts"}.get(file, "pairs")
    if file == "prompts.txt" or file.startswith("preferences."):
        if error.code == "more_errors":
            return field, problem("more", "{more} more errors", more=error.values["more"])
        message = from_event(error.values["what"])
        text = "line {number}: {what}"
        return field, problem("in_line", text, number=number, what=message) if number else message
    return "files" if file in files else "", error
