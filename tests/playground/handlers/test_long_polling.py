"""Long polling: it returns when there is news, shares polls, and times out."""

from __future__ import annotations

import asyncio
import time

import pytest
from anyio.from_thread import start_blocking_portal

from playground.handlers import long_polling
from playground.handlers.long_polling import LongPoll


class Log:
    """A log with a length, which counts how often it is checked."""

    def __init__(self) -> None:
        self.length = self.glances = 0

    def grown(self, known: int) -> bool:
        self.glances += 1
        return self.length > known


async def waits(log: Log, known: list[int], grows_after: float | None = None) -> list[float]:
    """The seconds that simultaneous waits for these lengths take."""
    waiting, began = LongPoll(log.grown), time.monotonic()

    async def one(length: int) -> float:
        await waiting.wait(length)
        return time.monotonic() - began

    async def grow() -> None:
        if grows_after is not None:
            await asyncio.sleep(grows_after)
            log.length += 1

    *seconds, _ = await asyncio.gather(*map(one, known), grow())
    return seconds


def played(function, *args):
    """The result of a coroutine, run in another thread: Playwright uses the main thread's loop."""
    with start_blocking_portal() as portal:
        return portal.call(function, *args)


def test_outdated_requests_are_answered_at_once():
    log = Log()
    log.length = 5
    assert played(waits, log, [4, 3]) == pytest.approx([0, 0], abs=0.08)


def test_many_waits_share_one_poll():
    log = Log()
    seconds = played(waits, log, [0] * 50, 0.25)
    assert min(seconds) > 0.2
    assert max(seconds) - min(seconds) < 0.1
    assert log.glances == pytest.approx(0.3 / long_polling.POLL_SECONDS, abs=2)


def test_nobody_waits_for_ever(monkeypatch):
    monkeypatch.setattr(long_polling, "TIMEOUT", 0.3)
    (seconds,) = played(waits, Log(), [0])
    assert 0.3 <= seconds < 0.3 + 3 * long_polling.POLL_SECONDS


def test_an_error_reaches_the_current_waits_only():
    def fail(known):
        raise OSError("the disk is gone")

    async def twice():
        waiting = LongPoll(fail)
        for _ in range(2):
            with pytest.raises(OSError, match="disk"):
                await waiting.wait(0)

    played(twice)
