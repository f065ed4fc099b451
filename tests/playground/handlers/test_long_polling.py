"""Long polling: it returns when there is news, shares polls, and times out."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from playground.handlers import long_polling
from playground.handlers.long_polling import LongPoll


class Log:
    """A log with a length, which counts its checks."""

    def __init__(self) -> None:
        self.length = self.checks = 0

    def end_offset(self, run: str) -> int:
        self.checks += 1
        return self.length


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer, so that no test waits."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self.now = self._scheduled[0].when()
        super()._run_once()


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """The module reads the clock of the loop."""
    clock = SimpleNamespace(monotonic=lambda: asyncio.get_running_loop().time())
    monkeypatch.setattr(long_polling, "time", clock)


class SameThread:
    """Takes the place of `Threads`, and calls functions in the thread of the loop."""

    async def run(self, function, *arguments):
        return function(*arguments)


async def waits(log: Log, known: list[int], grows_after: float | None = None) -> list[float]:
    """The seconds that simultaneous waits for these lengths take."""
    waiting, loop = LongPoll(log.end_offset, SameThread()), asyncio.get_running_loop()

    async def one(length: int) -> float:
        await waiting.wait("run", length)
        return loop.time()

    async def grow() -> None:
        if grows_after is not None:
            await asyncio.sleep(grows_after)
            log.length += 1

    *seconds, _ = await asyncio.gather(*map(one, known), grow())
    return seconds


def played(function, *args):
    """The result of a coroutine, run in another thread: Playwright uses the main thread's loop."""

    def run():
        with asyncio.Runner(loop_factory=Loop) as runner:
            return runner.run(function(*args))

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def test_outdated_requests_are_answered_at_once():
    log = Log()
    log.length = 5
    assert played(waits, log, [4, 3]) == [0, 0]


def test_many_waits_share_one_poll():
    log = Log()
    seconds = played(waits, log, [0] * 50, 0.25)
    assert seconds == [pytest.approx(0.3)] * 50
    assert log.checks == 4, "at 0, 0.1, 0.2 and 0.3 s"


def test_waits_for_lengths_beyond_the_log_share_one_poll():
    log = Log()
    seconds = played(waits, log, [*range(5, 2005)], 0.25)
    assert min(seconds) == pytest.approx(2.0) and log.checks == 21


def test_every_wait_times_out(monkeypatch):
    monkeypatch.setattr(long_polling, "TIMEOUT", 0.3)
    (seconds,) = played(waits, Log(), [0])
    assert seconds == pytest.approx(0.3, abs=long_polling.POLL_SECONDS + 1e-9)


def test_an_error_reaches_only_the_current_waits():
    def fail(run):
        raise OSError("the disk is gone")

    async def twice():
        waiting = LongPoll(fail, SameThread())
        for _ in range(2):
            with pytest.raises(OSError, match="disk"):
                await waiting.wait("run", 0)

    played(twice)
