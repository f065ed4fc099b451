"""Limits on the number and size of sessions of votes, in total and from one address."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection

from align_core.config.errors import ConfigError
from align_core.votes.sessions import Sessions
from playground.limits import Limits
from playground.people.client_address import client_address
from playground.people.json_requests import Refused

UNUSED_DAYS = 1 / 24  # a session without a vote for this long may be deleted to make room


class SessionPlaces:
    """Keeps `sessions` within the limits. Thread-safe.

    A `needed` session is never deleted. An `active` one, with raters, is deleted only if it has no
    votes and no idle session without votes is left. `deleted` is called with the name of each
    session that was deleted.
    """

    def __init__(
        self,
        sessions: Sessions,
        limits: Limits,
        needed: Callable[[], Collection[str]],
        active: Callable[[], Collection[str]],
        deleted: Callable[[str], None],
    ) -> None:
        self._sessions = sessions
        self._limits = limits
        self._needed = needed
        self._active = active
        self._deleted = deleted
        self._lock = threading.Lock()
        self._addresses: dict[str, str] = {}  # session -> address of its creator, if known

    def make_room(self) -> None:
        """Delete sessions if there is no room for a new one, by number or by size.

        The oldest without votes is deleted first. On servers that prune votes, the session that was
        unchanged for longest comes next. Raises Refused if nothing can be deleted.
        """
        with self._lock:
            while (full := self._full()) is not None:
                names, line = full
                if not (self._delete_one_without_votes(names) or self._delete_one_unused(names)):
                    raise Refused(503, "full", line)

    def note_created(self, name: str) -> None:
        """Note that the client of this request has created a session."""
        self._addresses[name] = client_address()

    def forget(self, name: str) -> None:
        """Forget a deleted session."""
        self._addresses.pop(name, None)

    def check_size(self, name: str) -> None:
        """Raises Refused if the session takes no more votes."""
        limit = self._limits.session_megabytes
        if limit is not None and self._sessions.size(name) > limit * 1e6:
            raise Refused(503, "full", f"this session has {limit} MB of votes, and takes no more")

    def prune(self, days: float) -> list[str]:
        """Delete the sessions that are unchanged for `days`; then, while all together are too
        large, the one that was unchanged for longest. Returns their names."""
        pruned = [name for name in self._sessions.older_than(days) if self._delete(name)]
        while self._takes_too_much() and (name := self._delete_one_unused(self._sessions.names())):
            pruned.append(name)
        return pruned

    def _full(self) -> tuple[list[str], str] | None:
        """The sessions from which one must be deleted, and the refusal; None if there is room."""
        names, limits = self._sessions.names(), self._limits
        if len(names) >= limits.sessions:
            return names, f"there are {limits.sessions} sessions here, and no room for more"
        if self._takes_too_much():
            return names, "the sessions here take too much space: try again later"
        address, limit = client_address(), limits.sessions_by_address
        same = [name for name in names if self._addresses.get(name) == address]
        if address and len(same) >= limit:
            return same, f"{limit} sessions were made from this address: no more are accepted"
        return None

    def _takes_too_much(self) -> bool:
        limit = self._limits.vote_megabytes
        names = self._sessions.names() if limit is not None else []
        return limit is not None and sum(map(self._sessions.size, names)) > limit * 1e6

    def _delete_one_without_votes(self, names: Collection[str]) -> bool:
        needed, active = self._needed(), self._active()
        oldest_first = [*names][::-1]
        for name in sorted(oldest_first, key=active.__contains__):
            with contextlib.suppress(ConfigError):  # no session, or deleted meanwhile
                if name not in needed and self._sessions.delete_if_without_votes(name):
                    self._deleted(name)
                    return True
        return len(self._sessions.names()) < len(names)  # a broken file no longer counts

    def _delete_one_unused(self, names: Collection[str]) -> str | None:
        """Delete the session that was unchanged for longest; returns its name, or None."""
        if self._limits.vote_days is None:
            return None
        unused = (name for name in self._sessions.older_than(UNUSED_DAYS) if name in names)
        return next(filter(self._delete, unused), None)

    def _delete(self, name: str) -> bool:
        if name in self._needed() or name in self._active():
            return False
        with contextlib.suppress(ConfigError, OSError):  # deleted meanwhile
            self._sessions.delete(name)
            self._deleted(name)
            return True
        return False
