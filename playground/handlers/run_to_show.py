"""Which run a page shows: the visitor's own, a talk's, or a recorded one to begin with."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from align_core.runs.client import Client
from playground.content.recordings import FIRST, Recordings
from playground.handlers import form
from playground.people.visitors import Visitor, Visitors

MAX_WATCHED = 1000  # visitors whose last watched run is stored


class RunToShow:
    """Calling it returns the name of the run that a page shows next; None if there is none.

    A page shows the first of these that exists:

    - the visitor's live run
    - the run that the page shows already, `watched`, if that is live
    - the live run of a visitor who gives a talk, unless `watched` is the visitor's own run or one
      that they have `chosen`
    - `watched`
    - on a new page, the visitor's newest run, or the recorded run with which every first page opens
    """

    def __init__(self, client: Client, visitors: Visitors, recordings: Recordings) -> None:
        self._client, self._visitors, self._recordings = client, visitors, recordings
        self._watched: OrderedDict[Visitor, str] = OrderedDict()

    def __call__(self, visitor: Visitor, watched: Any = None, chosen: bool = False) -> str | None:
        if own := self.own_live(visitor):
            return own
        live = self._client.live()
        if watched in live:
            return watched
        known = watched in self._recordings or self._visitors.may_see(visitor, watched)
        if talks := [run for run in live if self._visitors.in_talk(run)]:
            kept = self._newest_own(visitor) if watched is None else watched
            is_own = visitor and self._client.has(kept) and self._visitors.owns(visitor, kept)
            return kept if is_own or (chosen and known) else talks[-1]
        if known or (self._client.has(watched) and self._watched.get(visitor) == watched):
            return watched
        # A new page does not open with a run that another visitor has or shares.
        recorded = FIRST in self._recordings and form.first_task() == form.FIRST_TASK
        return self._newest_own(visitor, or_everyones=True) or (FIRST if recorded else None)

    def remember(self, visitor: Visitor, run: str) -> None:
        """Store the run, so that a visitor who watched it live may see its end."""
        self._watched.pop(visitor, None)
        self._watched[visitor] = run  # the newest entry; no step fails if other threads do the same
        if len(self._watched) > MAX_WATCHED:
            self._watched.popitem(last=False)

    def own_live(self, visitor: Visitor) -> str | None:
        """The visitor's live run, or None."""
        return next((run for run in self._client.live() if self._visitors.owns(visitor, run)), None)

    def _newest_own(self, visitor: Visitor, or_everyones: bool = False) -> str | None:
        """The newest run of the visitor, or one that belongs to everyone; None if there is none."""
        people = self._visitors
        for run in self._client.runs():
            if people.owns(visitor, run) or (or_everyones and people.owner(run) is None):
                return run
        return None
