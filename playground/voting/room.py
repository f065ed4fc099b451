"""Voting sessions: their raters, the current pair of each rater, and the room.

A session belongs to the rater who created it, and only they know its name. The presenter can open a
session as the room, in which an audience votes on phones. `align_core.votes.session` stores the
votes.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from align_core.config.errors import ConfigError, option_error
from align_core.config.messages import plain
from align_core.config.task_card import known_card
from align_core.inference.client import Unanswered
from align_core.votes import simulated_raters
from align_core.votes.session import Ballot, InvalidVote, Session
from align_core.votes.sessions import ROOM, Sessions
from playground.limits import Limits
from playground.people.json_requests import Refused
from playground.voting.pairs import Pairs
from playground.voting.provenance import session_of
from playground.voting.rater_places import RaterPlaces
from playground.voting.rater_states import Rater, RaterState, RaterStates
from playground.voting.session_places import SessionPlaces

ACTIVE_SHARE = 0.2  # the share of pairs that is drawn where the reward model is least certain
MAX_UNDO = 20  # votes that a rater can take back


class VotingService:
    """All sessions, and the room. Thread-safe.

    `pairs` provides the pairs of new sessions and their scores, and `configurations` the
    configurations of the runs that are live or wait. Methods for raters return a ballot:

    open:   whether the rater may vote; False if the room is closed
    rated:  the number of their votes
    undo:   whether they can take a vote back
    pair:   {"id", "prompt", "left", "right"}; None if no pair is left or the room is closed

    All methods with a rater raise Refused if the rater is unknown.
    """

    def __init__(
        self,
        sessions: Sessions,
        pairs: Pairs,
        active_share: float = ACTIVE_SHARE,
        seed: int | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        configurations: Callable[[], Iterable[Mapping[str, Any]]] = tuple,
    ) -> None:
        self._sessions = sessions
        self._pairs = pairs
        self._configurations = configurations
        self._rater_states = RaterStates()
        self._session_places = SessionPlaces(
            sessions, limits, self._needed, self._rater_states.active_sessions, self._forget
        )
        self._active_share = active_share
        self._rng = random.Random(seed)
        self._lock = threading.Lock()
        self._places = RaterPlaces(limits)
        self._active_shares: dict[str, float] = {}
        self._room: str | None = None
        self._open = False
        # Sessions that were ever the room take votes only while they are the open room, and only
        # the presenter may delete them. A mark on the disk keeps that across restarts.
        self._opened = {path.stem for path in sessions.root.glob(f"*{ROOM}")}

    # Raters

    def join(self, rater: Rater, task: str | None = None, model: str | None = None) -> dict:
        """A ballot, with the `session` and `token` for the rater's later requests.

        Joins the rater's own session on `task`, which is created with the texts of `model` if
        necessary; without a task, the room. A rater who has joined that session keeps their token.
        """
        if task is None:
            name = self._room
            if name is None:
                raise Refused(403, "closed", "no room is open")
        elif self.has_joined(rater, task):
            name = rater.session
        else:
            name = self._create(task, model)
        if rater.session != name or not self.has_joined(rater):
            rater = Rater(name, self._new_token(name))
        return {"session": rater.session, "token": rater.token, **self.ballot(rater)}

    def has_joined(self, rater: Rater, task: str | None = None) -> bool:
        """Whether the rater has joined the session that they name, and its task is `task`, if one
        is given."""
        try:
            session = self._sessions.open(rater.session)
        except ConfigError:
            return False
        return task in (None, session.task) and session.has_rater(rater.token)

    def ballot(self, rater: Rater) -> dict:
        """The rater's ballot, which stays the same until they vote on its pair or skip it."""
        session, state = self._find(rater)
        with state.lock:
            return self._ballot(rater, session, state)

    def cast(self, rater: Rater, pair: int, choice: str) -> dict:
        """Count a vote, one of `session.CHOICES`, on the current pair. Returns the next ballot."""
        session, state = self._find(rater)
        with state.lock:
            self._check_current(rater, state, pair)
            self._session_places.check_size(rater.session)
            try:
                session.vote(rater.token, pair, choice)
            except InvalidVote as error:
                state.current = None
                raise Refused(409, "order", str(error)) from None
            state.undoable = [*state.undoable, pair][-MAX_UNDO:]
            state.current = None
            state.rated += 1
            return self._ballot(rater, session, state)

    def skip(self, rater: Rater, pair: int) -> dict:
        """Skip the current pair. Returns the next ballot."""
        session, state = self._find(rater)
        with state.lock:
            self._check_current(rater, state, pair)
            state.skipped = [*state.skipped, pair][-MAX_UNDO:]
            state.current = None
            return self._ballot(rater, session, state)

    def undo(self, rater: Rater) -> dict:
        """Take the last vote back. Returns a ballot with its pair."""
        session, state = self._find(rater)
        with state.lock:
            if not self._may_vote(rater):
                raise Refused(403, "closed", "the room is closed")
            if not state.undoable:
                raise Refused(409, "order", "there is no vote to take back")
            last = state.undoable.pop()
            session.undo(rater.token, last)
            state.current = last
            state.rated -= 1
            return self._ballot(rater, session, state)

    # The room

    def room_status(self, rater: Rater) -> dict[str, Any]:
        """Whether the rater's session is the `open` room, and its `share` (`set_active_share`)."""
        self._find(rater)
        share = self._active_shares.get(rater.session, self._active_share)
        return {"open": self._open and self._room == rater.session, "share": share}

    def is_private(self, rater: Rater) -> bool:
        """Whether the session was never the room, so that only its creator knows its name."""
        return rater.session not in self._opened

    def set_active_share(self, rater: Rater, share: float) -> None:
        """Draw this share of the session's pairs where the reward model is least certain, and the
        rest at random."""
        self._find(rater)
        self._active_shares[rater.session] = share

    def simulate(self, rater: Rater, crowd: str, count: int) -> None:
        """Let simulated raters of a crowd (`simulated_raters.CROWDS`) cast `count` votes; fewer if
        the session has too few pairs."""
        session, _ = self._find(rater)
        self._session_places.check_size(rater.session)
        seed = session.tally()["votes"]  # so that a second call simulates other raters
        simulated_raters.fill(session, crowd, count, simulated_raters.RATERS, 0.0, seed)

    def open_room(self, rater: Rater) -> None:
        """Make the session of this rater the open room."""
        self._find(rater)
        with self._lock:
            self._room, self._open = rater.session, True
            self._opened.add(rater.session)
            (self._sessions.root / f"{rater.session}{ROOM}").touch()

    def close_room(self) -> None:
        """Accept no more votes in the room. Earlier votes are kept."""
        with self._lock:
            self._open = False

    def delete(self, rater: Rater) -> None:
        """Delete the rater's session; if it is the room, the room closes. The next `join` creates a
        new session."""
        self._find(rater)
        self._sessions.delete(rater.session)
        with self._lock:
            if self._room == rater.session:
                self._room, self._open = None, False
        self._forget(rater.session)

    def prune(self, days: float) -> list[str]:
        """Delete old sessions (`SessionPlaces.prune`), but never the room; returns their names."""
        return self._session_places.prune(days)

    def session(self, rater: Rater) -> Session:
        """The session of a rater who has joined it."""
        return self._find(rater)[0]

    def check_size(self, rater: Rater) -> None:
        """Raises Refused if nothing may be added to the files of the rater's session."""
        self._session_places.check_size(rater.session)

    # Internals

    def _forget(self, session: str) -> None:
        """Forget a session that was deleted."""
        self._session_places.forget(session)
        self._places.forget(session)
        self._rater_states.forget_session(session)
        with self._lock:
            self._opened.discard(session)
            self._active_shares.pop(session, None)

    def _create(self, task: str, model: str | None) -> str:
        try:
            task_card = known_card(task)
            if (model := model or task_card.reference) is None:
                raise ConfigError(
                    option_error("model", None, "a run, because this task has no reference")
                )
            pairs = self._pairs.load(task, model)
            self._session_places.make_room()
            session = self._sessions.create(
                f"{datetime.now():%Y-%m-%d-%H%M}-{task_card.name}-{secrets.token_hex(4)}", task
            )
        except ConfigError as error:
            raise Refused(422, "malformed", error.lines[0].text) from None
        except Unanswered as error:
            raise Refused(503, "busy", str(error)) from None
        self._session_places.note_created(session.name)
        session.add_pairs(pairs)
        if task_card.reward_model is not None:
            self._pairs.score(session, task_card.reward_model)
        return session.name

    def _needed(self) -> set[str]:
        """The sessions that must stay: the room, and those with a live or queued run."""
        trained_on = map(session_of, self._configurations())
        return {name for name in (self._room, *trained_on) if name is not None}

    def _new_token(self, name: str) -> str:
        forget_idle = partial(self._rater_states.forget_idle, name)
        return self._places.join(self._sessions.open(name), forget_idle)

    def _find(self, rater: Rater) -> tuple[Session, RaterState]:
        """The session and the state of a rater. Raises Refused if the rater is unknown."""
        state = self._rater_states.get(rater)
        try:
            session = self._sessions.open(rater.session)
            if state is None and not session.has_rater(rater.token):
                raise ConfigError(plain("no such rater"))
        except ConfigError:
            message = "this rater is not known here: join first"
            raise Refused(401, "unknown", message) from None
        if state is None:
            state = self._rater_states.add(rater)
        state.seen = time.monotonic()
        return session, state

    def _may_vote(self, rater: Rater) -> bool:
        in_room = self._open and rater.session == self._room
        return in_room or rater.session not in self._opened

    def _check_current(self, rater: Rater, state: RaterState, pair: int) -> None:
        """Raises Refused unless the rater may vote and their ballot is for this pair."""
        if not self._may_vote(rater):
            raise Refused(403, "closed", "the room is closed")
        if state.current != pair:
            raise Refused(409, "order", f"pair {pair} is not on this rater's ballot")

    def _ballot(self, rater: Rater, session: Session, state: RaterState) -> dict:
        may_vote, ballot = self._may_vote(rater), None
        if may_vote and state.current is not None:
            ballot = session.as_ballot(rater.token, state.current)
        elif may_vote and (ballot := self._draw(rater, session, state)) is not None:
            state.current = ballot.pair
        pair = ballot and {
            "id": ballot.pair,
            "prompt": ballot.prompt,
            "left": ballot.left,
            "right": ballot.right,
        }
        return {"open": may_vote, "rated": state.rated, "undo": bool(state.undoable), "pair": pair}

    def _draw(self, rater: Rater, session: Session, state: RaterState) -> Ballot | None:
        share = self._active_shares.get(rater.session, self._active_share)
        for _ in range(MAX_UNDO):  # a skipped pair is shown again if few others are left
            ballot = session.ballot(rater.token, share, self._rng)
            if ballot is None or ballot.pair not in state.skipped:
                break
        return ballot
