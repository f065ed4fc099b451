"""The queue of commands to a run."""

from __future__ import annotations

import math
import queue
import signal
import threading
import time
from types import SimpleNamespace

from align_core.config.messages import plain
from align_core.runs.control import Control


def test_commands_arrive_in_order_and_once():
    control = Control()
    control.put({"command": "pause"})
    control.put({"command": "set", "beta": 0.3})
    assert control.pending() == [{"command": "pause"}, {"command": "set", "beta": 0.3}]
    assert control.pending() == []


def test_a_stop_is_visible_before_it_is_read_from_the_queue():
    control = Control()
    control.put({"command": "pause"})
    assert not control.stop_requested
    control.put({"command": "stop", "reason": plain("enough")})
    control.put({"command": "stop", "reason": plain("more than enough")})
    assert control.stop_requested
    assert control.take_stop() == plain("enough")
    assert not control.stop_requested, "until the next command"


def test_wait_returns_the_command_of_another_thread():
    control = Control()
    threading.Timer(0.02, control.put, [{"command": "step"}]).start()
    assert control.wait() == {"command": "step"}


def test_wait_times_out():
    control = Control()
    start = time.monotonic()
    assert control.wait(0.05) is None
    assert time.monotonic() - start >= 0.05
    control.put({"command": "step"})
    assert control.wait(-1) == {"command": "step"}
    assert control.wait(-1) is None


def test_it_waits_as_long_as_it_is_told_and_for_what_is_pending_not_at_all():
    control, waits = Control(), []

    def get(timeout):
        waits.append(timeout)
        raise queue.Empty

    control._queue = SimpleNamespace(get=get)
    for seconds in (-5.0, 0.25, 7.0, math.inf):
        assert control.wait(seconds) is None
    assert control.pending() == []
    assert waits == [0, 0.25, 7.0, threading.TIMEOUT_MAX, 0]


def test_a_signal_handler_wakes_a_waiting_run():
    control = Control()
    before = signal.signal(signal.SIGALRM, lambda *_: control.put({"command": "stop"}))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert control.wait() == {"command": "stop"}
    finally:
        signal.signal(signal.SIGALRM, before)
