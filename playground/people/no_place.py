"""Why a run or a trial of a visitor has no place in the queue."""

from __future__ import annotations

from playground.people import log


class NoPlace(RuntimeError):
    """A run or a trial was neither started nor queued; the page has words for the `reason`."""

    reason: str


class AlreadyHasRun(NoPlace):
    """The visitor has a run or a trial that is live or queued; each visitor may have one."""

    reason = "one_each"


class QueueFull(NoPlace):
    """As many runs and trials wait as may, in all or of one address. Presenters are let in all the
    same."""

    reason = "queue_full"


def refusal(kind: type[NoPlace]) -> NoPlace:
    """An exception to raise, which is logged."""
    log.refused("run", kind.reason)
    return kind()
