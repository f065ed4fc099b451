"""Refusals of a visitor's run, or quick run of an experiment, by the queue."""

from __future__ import annotations

from playground.people import log


class NoPlace(RuntimeError):
    """A run or quick run was neither started nor queued; the page has words for the `reason`."""

    reason: str


class AlreadyHasRun(NoPlace):
    """The visitor has a run or quick run that is live or queued; each visitor may have one."""

    reason = "one_each"


class QueueFull(NoPlace):
    """Too many runs and quick runs wait, in total or from one address. Presenters are never refused
    for this reason."""

    reason = "queue_full"


def refusal(kind: type[NoPlace]) -> NoPlace:
    """Log the refusal; returns the exception to raise."""
    log.refused("run", kind.reason)
    return kind()
