"""The page for phones and what it asks, beside Gradio's own routes: no queue, no framework.

What is refused changes nothing: the answer is {"why", "line"} with a 4xx or 503. Addresses are
kept in memory, for the limits alone.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import math
import re
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import segno
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from align_core.config.errors import ConfigError
from align_core.config.run_config import TaskName
from align_core.config.task_card import card
from align_core.votes import statistics
from align_core.votes.session import CHOICES, Session
from align_core.votes.simulated_raters import CROWDS
from align_core.votes.sqlite_writer import Closed
from playground import text
from playground.people.addresses import for_phones
from playground.people.rate_limit import RateLimit
from playground.people.run_queue import AlreadyHasRun
from playground.people.visitors import Visitor, Visitors
from playground.settings import Settings
from playground.voting.room import ACTIVE_SHARE, Rater, Refused, VotingService
from playground.voting.vote_training import PIPELINES, VoteTraining, vote_counts

SIMULATED = 200  # votes that simulated raters cast when they are asked
BYTES = 1000  # of a request's body; a vote takes 40
# That wait for the disk: all are served by one commit, and a disk that is busy takes long for each.
THREADS = 64
# Requests a second, and at once: votes, and a look at the tally every second.
OF_A_RATER = (4.0, 20)
# A lecture hall behind one address of its network: 500 phones that join, then vote every 3 s.
OF_AN_ADDRESS = (400.0, 2000)
JOINS = (50.0, 1000)
SESSIONS = (0.1, 10)
_HERE = Path(__file__).parent
_BALLOT = _HERE.parent / "static" / "rate" / "ballot.js"


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Join(_Asked):
    task: TaskName | None = None
    model: Annotated[str, Field(max_length=100)] | None = None


class _OfPair(_Asked):
    pair: Annotated[int, Field(ge=0, lt=2**63)]


class _Cast(_OfPair):
    choice: Literal[CHOICES]


class _Room(_Asked):
    action: Literal["open", "close", "draw", "look"]
    share: Annotated[float, Field(ge=0, le=1)] = ACTIVE_SHARE  # of "draw"


class _Train(_Asked):
    way: Literal[tuple(PIPELINES)]
    simulated: Annotated[float, Field(ge=0, le=0.95)]  # share of all votes


class _Simulate(_Asked):
    crowd: Literal[tuple(CROWDS)]


class VoteRoutes:
    """Routes on `voting`, for `Blocks.launch(app_kwargs={"routes": …})`."""

    def __init__(
        self,
        voting: VotingService,
        vote_training: VoteTraining,
        visitors: Visitors,
        settings: Settings,
    ) -> None:
        self._voting = voting
        self._vote_training = vote_training
        self._visitors = visitors
        self._settings = settings
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="votes")
        self._raters = RateLimit(*OF_A_RATER)
        self._addresses = RateLimit(*OF_AN_ADDRESS)
        self._joins = RateLimit(*JOINS)
        self._sessions = RateLimit(*SESSIONS)
        self._page, self._policy = _page()

    def routes(self) -> list[Route]:
        """All of them; those that change anything take POST alone."""
        asked = {
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
        }
        return [
            Route("/vote", self._phone),
            *(
                Route(f"/vote/{name}", self._guarded(answer), methods=["POST"])
                for name, answer in asked.items()
            ),
        ]

    async def _phone(self, request: Request) -> Response:
        headers = {"Content-Security-Policy": self._policy, "Cache-Control": "no-cache"}
        return HTMLResponse(self._page, headers=headers)

    def _guarded(
        self, answer: Callable[[Request], Awaitable[dict[str, Any]]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                _within(self._addresses, self._address(request))
                return JSONResponse(await answer(request))
            except _TooOften as error:
                headers = {"Retry-After": str(math.ceil(error.seconds))}
                return JSONResponse(_told(error), error.status, headers)
            except Refused as error:
                return JSONResponse(_told(error), error.status)
            except (Closed, sqlite3.Error):  # deleted at this moment, or the disk is full
                return JSONResponse({"why": "lost", "line": "nothing was saved: try again"}, 503)

        return endpoint

    async def _join(self, request: Request) -> dict[str, Any]:
        asked = await _content(request, _Join)
        _within(self._joins, self._address(request))
        rater = _rater(request)
        if asked.task is None or await self._at(self._voting.has_joined, rater, asked.task):
            return await self._at(self._voting.join, rater, asked.task)
        _within(self._sessions, self._address(request))
        try:
            self._visitors.check_access(self._visitor(request), [asked.model])
        except ConfigError as error:
            raise Refused(422, "malformed", error.lines[0].text) from None
        # A new session waits for a model to write: longer than votes may.
        return await asyncio.to_thread(self._voting.join, rater, asked.task, asked.model)

    async def _pair(self, request: Request) -> dict[str, Any]:
        await _content(request, _Asked)
        return await self._at(self._voting.ballot, self._limited(request))

    async def _cast(self, request: Request) -> dict[str, Any]:
        asked = await _content(request, _Cast)
        return await self._at(self._voting.cast, self._limited(request), asked.pair, asked.choice)

    async def _skip(self, request: Request) -> dict[str, Any]:
        asked = await _content(request, _OfPair)
        return await self._at(self._voting.skip, self._limited(request), asked.pair)

    async def _undo(self, request: Request) -> dict[str, Any]:
        await _content(request, _Asked)
        return await self._at(self._voting.undo, self._limited(request))

    async def _tally(self, request: Request) -> dict[str, Any]:
        await _content(request, _Asked)
        rater = self._limited(request)
        self._only_for_its_owner(request, rater)
        return await self._at(lambda: _tally(self._voting.session(rater)))

    async def _room(self, request: Request) -> dict[str, Any]:
        """Open or close the room, which is the presenter's session; how it stands.

        What nobody else has seen, its owner may set without presenting.
        """
        asked = await _content(request, _Room)
        rater = self._limited(request)
        await self._at(self._voting.session, rater)  # refused for nobody, whatever the action
        if asked.action in ("open", "close"):
            _only_for(self._hosts(request))
        elif asked.action != "look":
            self._only_for_its_owner(request, rater)
        act = {
            "open": partial(self._voting.open_room, rater),
            "close": self._voting.close_room,
            "draw": partial(self._voting.set_active_share, rater, asked.share),
            "look": lambda: None,
        }
        await self._at(act[asked.action])
        stands = await self._at(self._voting.room_status, rater)
        return stands | {"hosts": self._hosts(request)} | self._invitation(request)

    async def _delete(self, request: Request) -> dict[str, Any]:
        await _content(request, _Asked)
        rater = self._limited(request)
        self._only_for_its_owner(request, rater)
        await self._at(self._voting.delete, rater)
        return {}

    async def _simulate(self, request: Request) -> dict[str, Any]:
        asked = await _content(request, _Simulate)
        rater = self._limited(request)
        self._only_for_its_owner(request, rater)
        await asyncio.to_thread(self._voting.simulate, rater, asked.crowd, SIMULATED)
        return {}

    async def _train(self, request: Request) -> dict[str, Any]:
        asked = await _content(request, _Train)
        rater = self._limited(request)
        self._only_for_its_owner(request, rater)

        visitor = self._visitor(request)

        def train() -> str | None:
            try:
                session = self._voting.session(rater)
                room = not self._voting.is_private(rater)
                return self._vote_training.train(session, asked.way, asked.simulated, visitor, room)
            except ConfigError as error:
                line = error.lines[0]
                why = "no_votes" if line.code == "no_votes" else "config"
                raise Refused(422, why, line.text) from None
            except AlreadyHasRun:
                line = "this visitor has a run that is live or waits"
                raise Refused(409, "one_each", line) from None

        return {"run": await asyncio.to_thread(train)}

    async def _report(self, request: Request) -> dict[str, Any]:
        await _content(request, _Asked)
        rater = self._limited(request)
        self._only_for_its_owner(request, rater)
        return await asyncio.to_thread(
            lambda: self._vote_training.report(self._voting.session(rater))
        )

    def _only_for_its_owner(self, request: Request, rater: Rater) -> None:
        _only_for(self._voting.is_private(rater) or self._hosts(request))

    def _invitation(self, request: Request) -> dict[str, str | None]:
        """The `link` for phones and its QR `code` as a data URI; None where no phone gets here."""
        found = for_phones(self._settings.host, request.url.port or 80)
        address = self._settings.address or found
        link = f"{address}/vote" if address else None
        return {"link": link, "code": link and segno.make(link, error="m").svg_data_uri(border=2)}

    async def _at(self, act: Callable[..., Any], *given: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(act, *given))

    def _visitor(self, request: Request) -> Visitor:
        return self._visitors.from_cookies(request.cookies)

    def _hosts(self, request: Request) -> bool:
        return self._visitors.may_open_room(self._visitor(request), self._address(request))

    def _address(self, request: Request) -> str:
        """Who asks; a proxy tells that at the end of its list."""
        if self._settings.proxied and (passed := request.headers.get("x-forwarded-for")):
            return passed.split(",")[-1].strip()
        return request.client.host if request.client else ""

    def _limited(self, request: Request) -> Rater:
        rater = _rater(request)
        _within(self._raters, rater.token)
        return rater


class _TooOften(Refused):
    def __init__(self, seconds: float) -> None:
        super().__init__(429, "often", f"too many requests: go on in {seconds:.1f} s")
        self.seconds = seconds


def _within(limit: RateLimit, key: str) -> None:
    if seconds := limit.wait(key):
        raise _TooOften(seconds)


def _only_for(allowed: bool) -> None:
    if not allowed:
        raise Refused(403, "presenter", "this is for who presents")


def _rater(request: Request) -> Rater:
    return Rater(request.headers.get("x-session", ""), request.headers.get("x-rater", ""))


async def _content(request: Request, kind: type[_Asked]) -> Any:
    """The body of a request; no more of it is read than one may have."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BYTES:
            raise Refused(413, "malformed", f"a request takes at most {BYTES} bytes")
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise Refused(422, "malformed", f"{where}: {first['msg']}") from None


def _tally(session: Session) -> dict[str, Any]:
    """The votes so far, and whose reward model `asks` where it is least sure: the "embedded" one,
    one trained on the "votes", or "none", for no pair has been scored yet."""
    votes, scored_by = session.votes(), session.scored_by()
    known = {getattr(card(session.task), "reward_model", None): "embedded", None: "none"}
    told = statistics.stats(votes)
    return {
        **{name: told[name] for name in ("votes", "raters", "ties", "both_bad", "agreement")},
        **vote_counts(votes),
        "asks": known.get(scored_by, "votes"),
        "disputed": next(iter(statistics.disputed(votes, 1)), None),
    }


def _told(error: Refused) -> dict[str, str]:
    return {"why": error.why, "line": error.line}


def _page() -> tuple[str, str]:
    """The page for phones, whole in one file, and the policy that lets no other script run."""
    words = {}
    for language in text.languages():
        known = text.load(language)
        words[language] = {**known["ballot"], **known["language"]}
    listed = json.dumps(words, ensure_ascii=False).replace("<", "\\u003c")
    page = (_HERE / "vote.html").read_text(encoding="utf-8").replace("{words}", listed)
    page = page.replace("{ballot}", _BALLOT.read_text(encoding="utf-8"))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
    )
    return page, policy
