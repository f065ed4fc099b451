"""How many raters a session may have, in all and from one address."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection

from align_core.votes.session import Session
from playground.limits import Limits
from playground.people.client_address import client_address
from playground.people.json_requests import Refused


class RaterPlaces:
    """The places that are taken in each session. Thread-safe."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._taken: dict[str, int] = {}
        self._by_address: Counter[tuple[str, str]] = Counter()  # by session and address

    def take(self, session: Session, active: Callable[[], Collection[str]]) -> None:
        """Take a place for a new rater. In a full session, raters without votes who are not
        `active` are removed.

        Raises:
            Refused: the session is full all the same, or too many have joined from this address.
        """
        name, address = session.name, client_address()
        with self._lock:
            taken = self._taken[name] if name in self._taken else session.rater_count()
            if taken >= self._limits.raters:
                taken -= session.remove_raters(but=active())
            if taken >= self._limits.raters:
                raise _full(f"{self._limits.raters} raters have joined, and no more can")
            if address and self._by_address[name, address] >= self._limits.raters_by_address:
                raise _full("many raters have joined from this address, and no more can")
            self._taken[name] = taken + 1
            self._by_address[name, address] += 1

    def forget(self, session: str) -> None:
        """The session was deleted."""
        with self._lock:
            self._taken.pop(session, None)
            for key in [key for key in self._by_address if key[0] == session]:
                del self._by_address[key]


def _full(line: str) -> Refused:
    return Refused(503, "full", line)
