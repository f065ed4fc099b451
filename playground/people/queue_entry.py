"""An entry of the run queue, and its owner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

from playground.people.client_address import client_address
from playground.people.visitors import Visitor
from playground.people.waiting_times import Duration


@dataclass(frozen=True)
class Entry:
    """A run, or a quick run of an experiment, that waits. `start`, called in `context`, starts it
    and returns its name."""

    visitor: Visitor
    start: Callable[[], str]
    duration: Duration
    options: Mapping[str, Any] = field(default_factory=dict)  # of a run
    quick_run: str | None = None  # the name of the experiment; None for a run
    address: str = field(default_factory=client_address)  # of the visitor; "" if unknown
    context: Context = field(default_factory=copy_context)

    @property
    def owner(self) -> str:
        """The owner of the run or quick run, as `owner_of` names them."""
        return owner_of(self.visitor, self.address)


def owner_of(visitor: Visitor, address: str) -> str:
    """The visitor or, for a program without a token, "a program at ADDRESS": all such programs at
    one address count as one owner."""
    return visitor or f"a program at {address}"
