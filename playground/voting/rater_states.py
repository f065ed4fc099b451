"""The states of the raters of all sessions: what each is shown, and when each was here last."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

MAX_RATER_STATES = 20_000  # kept in memory; a rater whose state is dropped is shown another pair
# Seconds after which a rater without votes, or a session without raters, may be removed.
IDLE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Rater:
    """A rater as named in a request, not checked."""

    session: str
    token: str


@dataclass(slots=True)
class RaterState:
    """The current pair of a rater, and the pairs that they rated and skipped last. Pairs are given
    by their ids, without texts, because there may be many raters."""

    current: int | None = None
    rated: int = 0
    undoable: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    seen: float = 0.0  # the time of their last request
    lock: threading.Lock = field(default_factory=threading.Lock)


class RaterStates:
    """The states by rater. Thread-safe."""

    def __init__(self) -> None:
        self._states: OrderedDict[Rater, RaterState] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, rater: Rater) -> RaterState | None:
        """The state of a rater; None if there is none."""
        return self._states.get(rater)

    def add(self, rater: Rater) -> RaterState:
        """The state of a rater, a new one if there is none."""
        with self._lock:
            state = self._states.setdefault(rater, RaterState())
            if len(self._states) > MAX_RATER_STATES:
                self._states.popitem(last=False)
            return state

    def active_sessions(self) -> set[str]:
        """The sessions with a request of a rater within IDLE_SECONDS."""
        since = time.monotonic() - IDLE_SECONDS
        with self._lock:
            return {rater.session for rater, state in self._states.items() if state.seen > since}

    def forget_idle(self, session: str) -> set[str]:
        """Forget the raters of a session who have been idle; returns the tokens of the others."""
        since, active = time.monotonic() - IDLE_SECONDS, set()
        with self._lock:
            for rater, state in [*self._states.items()]:
                if rater.session == session and state.seen > since:
                    active.add(rater.token)
                elif rater.session == session:
                    del self._states[rater]
        return active

    def forget_session(self, session: str) -> None:
        """Forget all raters of a session."""
        with self._lock:
            for rater in [rater for rater in self._states if rater.session == session]:
                del self._states[rater]
