"""What a voter gets back: how often they agreed with the majority, and what the votes taught."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from align_core.votes import statistics
from align_core.votes.session import Session
from playground.voting.vote_reports import VoteReports

MAX_AGE = 3.0  # of an answer, in seconds: many phones ask often, and a session has many votes
MAX_SESSIONS = 64


@dataclass(slots=True)
class _Computed:
    """The answers for all raters of a session, and when they were computed."""

    at: float = -MAX_AGE
    agreement: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    taught: Mapping[str, str] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class VoterReturn:
    """Computes the answers of a session at most once in MAX_AGE seconds. Thread-safe."""

    def __init__(self, vote_reports: VoteReports) -> None:
        self._vote_reports = vote_reports
        self._computed: OrderedDict[str, _Computed] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, session: Session, rater: str) -> dict[str, Any]:
        """What one rater of a session gets back.

        agreed, compared:  as `statistics.with_majority`
        taught:            as `VoteReports.taught`
        """
        with self._lock:
            computed = self._computed.setdefault(session.name, _Computed())
            self._computed.move_to_end(session.name)
            if len(self._computed) > MAX_SESSIONS:
                self._computed.popitem(last=False)
        with computed.lock:  # of this session alone: its other phones wait for the same answer
            if time.monotonic() - computed.at >= MAX_AGE:
                computed.agreement = statistics.with_majority(session.votes())
                computed.taught = self._vote_reports.taught(session)
                computed.at = time.monotonic()
            agreed, compared = computed.agreement.get(rater, (0, 0))
            return {"agreed": agreed, "compared": compared, "taught": computed.taught}
