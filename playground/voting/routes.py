"""The HTTP routes of voting, including the page for phones. They bypass Gradio and its queue."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Literal

import segno
from pydantic import Field
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from align_core.config.errors import ConfigError
from align_core.config.task_card import card
from align_core.runs.json_lines import to_line
from align_core.votes import preference_files
from align_core.votes.session import CHOICES
from align_core.votes.simulated_raters import CROWDS
from align_core.votes.sqlite_writer import Closed
from playground.people.addresses import address_for_phones
from playground.people.client_address import client_address
from playground.people.json_requests import Body, Refused, check_rate, parse
from playground.people.no_place import NoPlace
from playground.people.rate_limit import RateLimit
from playground.people.threads import Threads
from playground.people.visitors import Visitor, Visitors
from playground.settings import Settings
from playground.voting import phone_page
from playground.voting.rater_states import Rater
from playground.voting.room import ACTIVE_SHARE, VotingService
from playground.voting.tally import tally
from playground.voting.vote_reports import VoteReports
from playground.voting.vote_training import PIPELINES, VoteTraining
from playground.voting.voter_return import VoterReturn

SIMULATED_VOTES = 200  # cast by one "simulate" request
MAX_BYTES = 1000  # of a request's body; a vote has 40
# Vote threads mostly wait for the disk. One commit writes the votes of all waiting threads.
VOTE_THREADS = 64
# A new session may wait for samples of its model; sessions of the same task and model share them.
SESSION_THREADS = 16
REPORT_THREADS = 4
# Rate limits: requests per second, and requests at once. A rater votes, and polls the tally every
# second.
RATER_LIMIT = (4.0, 20)
# For a lecture hall behind one address: 500 phones that join, then vote every 3 seconds.
ADDRESS_LIMIT = (400.0, 2000)
JOIN_LIMIT = (50.0, 1000)
SESSION_LIMIT = (0.1, 10)


class _JoinBody(Body):
    task: Annotated[str, Field(max_length=4096)] | None = None
    model: Annotated[str, Field(max_length=100)] | None = None


class _PairBody(Body):
    pair: Annotated[int, Field(ge=0, lt=2**63)]


class _CastBody(_PairBody):
    choice: Literal[CHOICES]  # type: ignore[valid-type]  # computed


class _RoomBody(Body):
    action: Literal["open", "close", "draw", "look"]
    share: Annotated[float, Field(ge=0, le=1)] = ACTIVE_SHARE  # used by "draw" only


class _TrainBody(Body):
    way: Literal[tuple(PIPELINES)]  # type: ignore[valid-type]  # computed
    simulated: Annotated[float, Field(ge=0, le=0.95)]  # share of all votes


class _SimulateBody(Body):
    crowd: Literal[tuple(CROWDS)]  # type: ignore[valid-type]  # computed


_Answer = Callable[[Request], Awaitable[dict[str, Any] | Response]]


class VoteRoutes:
    """The routes of `voting`, for `Blocks.launch(app_kwargs={"routes": …})`."""

    def __init__(
        self,
        voting: VotingService,
        vote_training: VoteTraining,
        vote_reports: VoteReports,
        visitors: Visitors,
        settings: Settings,
    ) -> None:
        self._voting = voting
        self._vote_training = vote_training
        self._vote_reports = vote_reports
        self._voter_return = VoterReturn(vote_reports)
        self._visitors = visitors
        self._settings = settings
        self._votes = Threads("votes", VOTE_THREADS)
        self._new_sessions = Threads("sessions", SESSION_THREADS)
        self._reports = Threads("reports", REPORT_THREADS)
        self._returns = Threads("returns", REPORT_THREADS)
        self._raters = RateLimit(*RATER_LIMIT)
        self._addresses = RateLimit(*ADDRESS_LIMIT)
        self._joins = RateLimit(*JOIN_LIMIT)
        self._sessions = RateLimit(*SESSION_LIMIT)
        self._page, self._policy = phone_page.page()

    def routes(self) -> list[Route]:
        """All routes. Those that may change anything accept only POST."""
        answers: dict[str, _Answer] = {
            "join": self._join,
            "pair": self._pair,
            "cast": self._cast,
            "skip": self._skip,
            "undo": self._undo,
            "tally": self._tally,
            "room": self._room,
            "delete": self._delete,
            "simulate": self._simulate,
            "train": self._train,
            "report": self._report,
            "return": self._return,
            "export": self._export,
        }
        return [
            Route("/vote", self._phone),
            *(
                Route(f"/vote/{name}", self._guarded(answer), methods=["POST"])
                for name, answer in answers.items()
            ),
        ]

    async def _phone(self, request: Request) -> Response:
        headers = {"Content-Security-Policy": self._policy, "Cache-Control": "no-cache"}
        return HTMLResponse(self._page, headers=headers)

    def _guarded(self, answer: _Answer) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                check_rate(self._addresses, client_address())
                content = await answer(request)
            except Refused as error:
                return error.response()
            # The session was just deleted, or the disk is full.
            except (Closed, sqlite3.Error, OSError):
                return JSONResponse({"why": "lost", "line": "nothing was saved: try again"}, 503)
            return content if isinstance(content, Response) else JSONResponse(content)

        return endpoint

    async def _join(self, request: Request) -> dict[str, Any]:
        body = await parse(request, _JoinBody, MAX_BYTES)
        check_rate(self._joins, client_address())
        rater = _rater(request)
        task = self._visitors.own.full_name(self._visitor(request), body.task)
        if task is not None and card(task) is None:
            raise Refused(422, "malformed", "task: expected an existing task")
        if task is None or await self._votes.run(self._voting.has_joined, rater, task):
            return await self._votes.run(self._voting.join, rater, task)
        check_rate(self._sessions, client_address())
        try:
            self._visitors.check_access(self._visitor(request), [body.model])
        except ConfigError as error:
            raise Refused(422, "malformed", error.lines[0].text) from None
        return await self._new_sessions.run(self._voting.join, rater, task, body.model)

    async def _pair(self, request: Request) -> dict[str, Any]:
        await parse(request, Body, MAX_BYTES)
        return await self._votes.run(self._voting.ballot, self._limited_rater(request))

    async def _cast(self, request: Request) -> dict[str, Any]:
        body = await parse(request, _CastBody, MAX_BYTES)
        return await self._votes.run(
            self._voting.cast, self._limited_rater(request), body.pair, body.choice
        )

    async def _skip(self, request: Request) -> dict[str, Any]:
        body = await parse(request, _PairBody, MAX_BYTES)
        return await self._votes.run(self._voting.skip, self._limited_rater(request), body.pair)

    async def _undo(self, request: Request) -> dict[str, Any]:
        await parse(request, Body, MAX_BYTES)
        return await self._votes.run(self._voting.undo, self._limited_rater(request))

    async def _tally(self, request: Request) -> dict[str, Any]:
        await parse(request, Body, MAX_BYTES)
        rater = self._limited_rater(request)
        self._check_owner(request, rater)
        return await self._reports.run(lambda: tally(self._voting.session(rater)))

    async def _room(self, request: Request) -> dict[str, Any]:
        """Open, close, set up or look at the room; returns its status and the invitation.

        Only a presenter may open and close it. The creator of a private session may set its share.
        """
        body = await parse(request, _RoomBody, MAX_BYTES)
        rater = self._limited_rater(request)
        await self._votes.run(self._voting.session, rater)  # refuses an unknown rater first
        if body.action in ("open", "close"):
            _check_presenter(self._may_open_room(request))
        elif body.action != "look":
            self._check_owner(request, rater)
        actions: dict[str, Callable[[], object]] = {
            "open": partial(self._voting.open_room, rater),
            "close": self._voting.close_room,
            "draw": partial(self._voting.set_active_share, rater, body.share),
            "look": lambda: None,
        }
        await self._votes.run(actions[body.action])
        if body.action == "open":
            self._visitors.present(self._visitor(request))
        status = await self._votes.run(self._voting.room_status, rater)
        return status | {"hosts": self._may_open_room(request)} | self._invitation(request)

    async def _delete(self, request: Request) -> dict[str, Any]:
        await parse(request, Body, MAX_BYTES)
        rater = self._limited_rater(request)
        self._check_owner(request, rater)
        await self._votes.run(self._voting.delete, rater)
        return {}

    async def _simulate(self, request: Request) -> dict[str, Any]:
        body = await parse(request, _SimulateBody, MAX_BYTES)
        rater = self._limited_rater(request)
        self._check_owner(request, rater)
        await self._reports.run(self._voting.simulate, rater, body.crowd, SIMULATED_VOTES)
        return {}

    async def _train(self, request: Request) -> dict[str, Any]:
        body = await parse(request, _TrainBody, MAX_BYTES)
        rater = self._limited_rater(request)
        self._check_owner(request, rater)

        visitor = self._visitor(request)

        def train() -> str | None:
            try:
                session = self._voting.session(rater)
                self._voting.check_size(rater)
                room = not self._voting.is_private(rater)
                return self._vote_training.train(session, body.way, body.simulated, visitor, room)
            except ConfigError as error:
                message = error.lines[0]
                why = "no_votes" if message.code == "no_votes" else "config"
                raise Refused(422, why, message.text) from None
            except NoPlace as refusal:
                line = "this visitor has a run that is live or waits, or too many runs wait"
                raise Refused(409, refusal.reason, line) from None

        return {"run": await self._reports.run(train)}

    async def _report(self, request: Request) -> dict[str, Any]:
        await parse(request, Body, MAX_BYTES)
        rater = self._limited_rater(request)
        self._check_owner(request, rater)
        return await self._reports.run(
            lambda: self._vote_reports.report(self._voting.session(rater))
        )

    async def _return(self, request: Request) -> dict[str, Any]:
        await parse(request, Body, MAX_BYTES)
        rater = self._limited_rater(request)
        session = await self._votes.run(self._voting.session, rater)
        return await self._returns.run(self._voter_return.of, session, rater.token)

    async def _export(self, request: Request) -> Response:
        """The votes of the session as `align-core preferences export` writes them, in JSONL."""
        await parse(request, Body, MAX_BYTES)
        rater = self._limited_rater(request)
        self._check_owner(request, rater)
        session = await self._reports.run(self._voting.session, rater)
        rows = preference_files.preferences(await self._reports.run(session.votes))
        if not rows:
            raise Refused(422, "no_votes", "no vote prefers a text yet")
        return StreamingResponse(
            (f"{to_line(row)}\n" for row in rows), media_type="application/jsonl"
        )

    def _check_owner(self, request: Request, rater: Rater) -> None:
        _check_presenter(self._voting.is_private(rater) or self._may_open_room(request))

    def _invitation(self, request: Request) -> dict[str, str | None]:
        """The `link` for phones and its QR `code` as a data URI; both None if no phone can reach
        this server."""
        address = address_for_phones(self._settings, request.url.port or 80)
        link = f"{address}/vote" if address else None
        return {"link": link, "code": link and segno.make(link, error="m").svg_data_uri(border=2)}

    def _visitor(self, request: Request) -> Visitor:
        return self._visitors.sender(request)

    def _may_open_room(self, request: Request) -> bool:
        return self._visitors.may_open_room(self._visitor(request), client_address())

    def _limited_rater(self, request: Request) -> Rater:
        """The rater of a request. Raises RateLimited if they send too many."""
        rater = _rater(request)
        check_rate(self._raters, rater.token)
        return rater


def _check_presenter(allowed: bool) -> None:
    if not allowed:
        raise Refused(403, "presenter", "only a presenter may do this")


def _rater(request: Request) -> Rater:
    return Rater(request.headers.get("x-session", ""), request.headers.get("x-rater", ""))
