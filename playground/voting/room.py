"""Who rates what: the sessions of visitors, the room, and the pair that is out for each rater.

A session belongs to the rater who began it and, as its name, goes to nobody else. The presenter can
open one to the room: then phones vote in it, too. The votes themselves are
`align_core.votes.session`.
"""

from __future__ import annotations

import random
import secrets
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from align_core.config.errors import ConfigError, complaint
from align_core.config.messages import plain
from align_core.config.task_card import card
from align_core.inference.client import Unanswered
from align_core.votes import simulated_raters
from align_core.votes.session import Ballot, NotCounted, Session
from align_core.votes.sessions import ROOM, Sessions
from playground.voting.pairs import Pairs

ACTIVE_SHARE = 0.2  # of the pairs are those that the reward model is least sure of
RATERS = 5_000  # of a session, so that joining in a loop fills no disk
SESSIONS = 200  # in all
MAX_RATER_STATES = 20_000  # raters whose pair is out; another one's phone asks for its pair anew
MAX_UNDO = 20  # votes that a rater can take back


class Refused(Exception):
    """A request that changes nothing: the HTTP status, the key of the reason, and one line."""

    def __init__(self, status: int, why: str, line: str) -> None:
        super().__init__(line)
        self.status, self.why, self.line = status, why, line


@dataclass
class _RaterState:
    """What lies before one rater."""

    out: Ballot | None = None
    rated: int = 0
    behind: deque[Ballot] = field(default_factory=lambda: deque(maxlen=MAX_UNDO))
    skipped: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_UNDO))
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Rater:
    """Who asks, in the words of their own request: not yet known to be anybody."""

    session: str
    token: str


class VotingService:
    """The sessions under one roof and the room, for any number of threads.

    `pairs` gives those of a new session and scores them. Answers to raters are ballots: `open`
    (False: the room is closed), `rated` (their votes), `undo` (whether one can be taken back) and
    `pair`: None, or its `id`, `prompt`, and the texts `left` and `right`.
    """

    def __init__(
        self,
        sessions: Sessions,
        pairs: Pairs,
        active_share: float = ACTIVE_SHARE,
        seed: int | None = None,
    ) -> None:
        self._sessions = sessions
        self._pairs = pairs
        self._active_share = active_share
        self._rng = random.Random(seed)
        self._lock = threading.Lock()
        self._rater_states: OrderedDict[Rater, _RaterState] = OrderedDict()
        self._joined: dict[str, int] = {}
        self._shares: dict[str, float] = {}
        self._room: str | None = None
        self._open = False
        # These take votes only while they are the open room, and are the presenter's to delete:
        # also after a restart, so a mark lies beside each.
        self._opened = {path.stem for path in sessions.root.glob(f"*{ROOM}")}

    # Raters

    def join(self, rater: Rater, task: str | None = None, model: str | None = None) -> dict:
        """A ballot, and the `session` and `token` that the rater is to name from now on.

        With a task and a model it is of the rater's own session about them, else of the room's.
        Whoever is known already stays who they are.
        """
        if task is None:
            name = self._room
            if name is None:
                raise Refused(403, "closed", "no room is open")
        elif self.has_joined(rater, task):
            name = rater.session
        else:
            name = self._begin(task, model)
        if rater.session != name or not self.has_joined(rater):
            rater = Rater(name, self._new_rater(name))
        return {"session": rater.session, "token": rater.token, **self.ballot(rater)}

    def has_joined(self, rater: Rater, task: str | None = None) -> bool:
        """Whether this rater has joined the session that they name, and it is about `task`."""
        try:
            session = self._sessions.open(rater.session)
        except ConfigError:
            return False
        return task in (None, session.task) and session.knows(rater.token)

    def ballot(self, rater: Rater) -> dict:
        """The ballot of a rater; the same one until they have voted on it or skipped it."""
        session, desk = self._seated(rater)
        with desk.lock:
            return self._ballot(rater, session, desk)

    def cast(self, rater: Rater, pair: int, choice: str) -> dict:
        """Count a vote, one of `session.CHOICES`, on the pair that is out; the next ballot."""
        session, desk = self._seated(rater)
        with desk.lock:
            self._must_be_out(rater, desk, pair)
            try:
                session.vote(rater.token, pair, choice)
            except NotCounted as error:
                desk.out = None
                raise Refused(409, "order", str(error)) from None
            desk.behind.append(desk.out)
            desk.out = None
            desk.rated += 1
            return self._ballot(rater, session, desk)

    def skip(self, rater: Rater, pair: int) -> dict:
        """Lay the pair that is out aside; the next ballot."""
        session, desk = self._seated(rater)
        with desk.lock:
            self._must_be_out(rater, desk, pair)
            desk.skipped.append(pair)
            desk.out = None
            return self._ballot(rater, session, desk)

    def undo(self, rater: Rater) -> dict:
        """Take the last vote back: its pair is out again."""
        session, desk = self._seated(rater)
        with desk.lock:
            if not self._may_vote(rater):
                raise Refused(403, "closed", "the room is closed")
            if not desk.behind:
                raise Refused(409, "order", "there is no vote to take back")
            last = desk.behind.pop()
            session.undo(rater.token, last.pair)
            desk.out = last
            desk.rated -= 1
            return self._ballot(rater, session, desk)

    # The room

    def room_status(self, rater: Rater) -> dict[str, Any]:
        """Whether this rater's session is `open` to the room, and the `share` of its pairs that are
        drawn where a vote teaches most."""
        self._seated(rater)
        share = self._shares.get(rater.session, self._active_share)
        return {"open": self._open and self._room == rater.session, "share": share}

    def is_private(self, rater: Rater) -> bool:
        """Whether the session was never opened to the room: only who began it knows its name."""
        return rater.session not in self._opened

    def set_active_share(self, rater: Rater, share: float) -> None:
        """Draw this share of the session's pairs where a vote teaches most, the rest at random."""
        self._seated(rater)
        self._shares[rater.session] = share

    def simulate(self, rater: Rater, crowd: str, count: int) -> None:
        """Have simulated raters of a crowd (`simulated_raters.CROWDS`) cast `count` votes in the
        session, or as many as it has pairs for."""
        session, _ = self._seated(rater)
        seed = session.tally()["votes"]  # others vote when they are asked again
        simulated_raters.fill(session, crowd, count, simulated_raters.RATERS, 0.0, seed)

    def open_room(self, rater: Rater) -> None:
        """Let phones vote in the session of this rater."""
        self._seated(rater)
        with self._lock:
            self._room, self._open = rater.session, True
            self._opened.add(rater.session)
            (self._sessions.root / f"{rater.session}{ROOM}").touch()

    def close_room(self) -> None:
        """Take no more votes from phones; those that came stay."""
        with self._lock:
            self._open = False

    def delete(self, rater: Rater) -> None:
        """Take this session off the disk; where it is the room, that closes. Who joins anew begins
        another."""
        self._seated(rater)
        with self._lock:
            self._sessions.delete(rater.session)
            if self._room == rater.session:
                self._room, self._open = None, False
            self._opened.discard(rater.session)
            self._joined.pop(rater.session, None)
            self._shares.pop(rater.session, None)
            for known in [one for one in self._rater_states if one.session == rater.session]:
                del self._rater_states[known]

    def session(self, rater: Rater) -> Session:
        """The session of a rater who is known there."""
        return self._seated(rater)[0]

    # Inside

    def _begin(self, task: str, model: str | None) -> str:
        if len(self._sessions.names()) >= SESSIONS:
            self._make_room()
        try:
            known = card(task)
            if (model := model or known.reference) is None:
                raise ConfigError(complaint("model", None, "a run: this task has no reference"))
            pairs = self._pairs.of(task, model)
            session = self._sessions.create(
                f"{datetime.now():%Y-%m-%d-%H%M}-{known.name}-{secrets.token_hex(4)}", task
            )
        except ConfigError as error:
            raise Refused(422, "malformed", error.lines[0].text) from None
        except Unanswered as error:
            raise Refused(503, "busy", str(error)) from None
        session.add_pairs(pairs)
        if known.reward_model is not None:
            self._pairs.score(session, known.reward_model)
        return session.name

    def _make_room(self) -> None:
        """Delete the oldest session without a vote. Raises Refused where each has some."""
        for name in reversed(self._sessions.names()):
            if name != self._room and not self._sessions.open(name).tally()["votes"]:
                self._sessions.delete(name)
                return
        raise Refused(503, "full", f"there are {SESSIONS} sessions here, and no room for more")

    def _new_rater(self, name: str) -> str:
        with self._lock:
            joined = self._joined[name] = self._joined.get(name, 0) + 1
        if joined > RATERS:
            raise Refused(503, "full", f"{RATERS} raters have joined, and no more can")
        return self._sessions.open(name).join()

    def _seated(self, rater: Rater) -> tuple[Session, _RaterState]:
        """The session and the desk of a rater. Raises Refused for one who is not known."""
        desk = self._rater_states.get(rater)
        try:
            session = self._sessions.open(rater.session)
            if desk is None and not session.knows(rater.token):
                raise ConfigError(plain("no such rater"))
        except ConfigError:
            line = "this rater is not known here: join first"
            raise Refused(401, "unknown", line) from None
        if desk is None:
            with self._lock:
                desk = self._rater_states.setdefault(rater, _RaterState())
                if len(self._rater_states) > MAX_RATER_STATES:
                    self._rater_states.popitem(last=False)
        return session, desk

    def _may_vote(self, rater: Rater) -> bool:
        in_room = self._open and rater.session == self._room
        return in_room or rater.session not in self._opened

    def _must_be_out(self, rater: Rater, desk: _RaterState, pair: int) -> None:
        if not self._may_vote(rater):
            raise Refused(403, "closed", "the room is closed")
        if desk.out is None or desk.out.pair != pair:
            raise Refused(409, "order", f"pair {pair} is not the one that is out for this rater")

    def _ballot(self, rater: Rater, session: Session, desk: _RaterState) -> dict:
        open_ = self._may_vote(rater)
        if open_ and desk.out is None:
            desk.out = self._draw(rater, session, desk)
        out = desk.out if open_ else None
        pair = out and {
            "id": out.pair, "prompt": out.prompt, "left": out.left, "right": out.right
        }  # fmt: skip
        return {"open": open_, "rated": desk.rated, "undo": bool(desk.behind), "pair": pair}

    def _draw(self, rater: Rater, session: Session, desk: _RaterState) -> Ballot | None:
        share = self._shares.get(rater.session, self._active_share)
        for _ in range(MAX_UNDO):  # what was laid aside comes back when there is little else
            found = session.ballot(rater.token, share, self._rng)
            if found is None or found.pair not in desk.skipped:
                break
        return found
