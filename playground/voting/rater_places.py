"""Limits on the number of raters of a session, in total and from one address."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection

from align_core.votes.session import Session
from playground.limits import Limits
from playground.people.client_address import client_address
from playground.people.json_requests import Refused


class RaterPlaces:
    """The numbers of raters in each session. Thread-safe."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._taken: dict[str, int] = {}  # by session
        # The tokens of raters who joined since the server started, by session and address.
        self._tokens: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def join(self, session: Session, active: Callable[[], Collection[str]]) -> str:
        """The token of a new rater. If the session has too many, in total or from the same address,
        its raters without votes are removed first, except those whose tokens `active()` returns.

        Raises:
            Refused: the session has too many raters, in total or from this address.
        """
        name, address = session.name, client_address()
        with self._lock:
            if name not in self._taken:
                self._taken[name] = session.rater_count()
            problem = self._problem(name, address)
            if problem is not None:
                self._remove(session, active())
                problem = self._problem(name, address)
            if problem is not None:
                raise Refused(503, "full", problem)
            self._taken[name] += 1
        try:
            token = session.join()  # outside the lock: raters who join together share a commit
        except Exception:
            with self._lock:
                self._taken.pop(name, None)  # counted again when the next rater joins
            raise
        with self._lock:
            self._tokens[name, address].add(token)
        return token

    def forget(self, session: str) -> None:
        """Forget a session that was deleted."""
        with self._lock:
            self._taken.pop(session, None)
            for key in [key for key in self._tokens if key[0] == session]:
                del self._tokens[key]

    def _problem(self, session: str, address: str) -> str | None:
        """Why no rater can join; None if one can."""
        if self._taken[session] >= self._limits.raters:
            return f"{self._limits.raters} raters have joined: no more are accepted"
        limit = self._limits.raters_by_address
        if address and len(self._tokens[session, address]) >= limit:
            return f"{limit} raters have joined from this address: no more are accepted"
        return None

    def _remove(self, session: Session, active: Collection[str]) -> None:
        removed = session.remove_raters(but=active)
        self._taken[session.name] -= len(removed)
        for (name, _), tokens in self._tokens.items():
            if name == session.name:
                tokens -= removed
