"""The run queue, with real processes of scripted runs."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from align_core.config.errors import ConfigError
from align_core.config.messages import plain
from align_core.runs.client import Client
from playground import text
from playground.content.new_events import Cursor
from playground.handlers.train import TrainHandlers
from playground.limits import Limits
from playground.people import run_queue as module
from playground.people import waiting_times
from playground.people.no_place import AlreadyHasRun, QueueFull
from playground.people.run_queue import Position, RunQueue
from playground.people.visitors import Visitors
from tests.waiting import until

WORDS = text.load("en")
KEY = "correct horse battery"
SHORT = {"method": "reward", "task": "reviews", "steps": 4}
LONG = SHORT | {"steps": 5000}


@pytest.fixture
def visitors(client):
    return Visitors(client, KEY)


@pytest.fixture
def queue(client, visitors):
    return RunQueue(client, visitors)


@pytest.fixture
def people(visitors):
    return [visitors.from_token(digit * 64) for digit in "abcd"]


def begun(client, n):
    """Waits until there are `n` runs and returns the newest, once it has logged an event."""
    until(lambda: len(client.runs()) == n)
    newest = client.runs()[0]
    until(lambda: client.events(newest)[0])
    return newest


def owner(visitors, people, run):
    return next(person for person in people if visitors.owns(person, run))


def test_runs_start_in_order_and_each_visitor_has_at_most_one(
    client, visitors, queue, people, monkeypatch
):
    first = queue.join(people[0], LONG)
    assert client.live() == [first]
    for person in people[1:]:
        assert queue.join(person, SHORT) is None
    for person in people:
        with pytest.raises(AlreadyHasRun):
            queue.join(person, SHORT)
    assert [queue.position(person) and queue.position(person).number for person in people] == [
        None,
        1,
        2,
        3,
    ]
    queue.leave(people[2])
    assert queue.position(people[3]).number == 2
    client.send(first, "stop")
    until(lambda: len(client.runs()) == 3 and not client.live())
    assert [owner(visitors, people, run) for run in client.runs()[::-1]] == [
        people[0],
        people[1],
        people[3],
    ]
    assert not any(queue.position(person) for person in people)
    handlers = TrainHandlers(client, WORDS, queue)
    watching = {"run": first, "offset": 0, "chosen": True}  # `first` is shared with them
    visitors.share(people[0], first, True)
    ended = {
        person: handlers.live.delta(Cursor.of(watching | {"waits": True}), person)
        for person in people
    }
    whose = {person: delta["run"] for person, delta in ended.items()}
    second, third = reversed(client.runs()[:2])
    assert whose == dict(zip(people, (first, second, first, third), strict=True)), "one has left"
    stays = handlers.live.delta(Cursor.of(watching), people[1])  # a page that does not wait
    assert stays["run"] == first
    queue.join(people[1], LONG)
    assert queue.last_begun(people[1]) is None and queue.last_begun(people[3]) == third


def test_concurrent_requests_start_one_run(client, visitors, queue, people):
    began = []
    threads = [
        threading.Thread(target=lambda person=person: began.append(queue.join(person, LONG)))
        for person in people
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(client.live()) == 1 and sum(run is not None for run in began) == 1
    waiting = sorted(queue.position(person).number for person in people if queue.position(person))
    assert waiting == [1, 2, 3]


def test_the_next_run_begins_after_a_killed_one(client, visitors, queue, people):
    begun_first = queue.join(people[0], LONG)
    begun(client, 1)
    queue.join(people[1], LONG)
    os.kill(client.pid(), signal.SIGKILL)
    second = begun(client, 2)
    assert second != begun_first and visitors.owns(people[1], second)
    assert client.status(begun_first)["status"] == "failed"


def test_two_slots_take_two_runs(tmp_path, fake_assets):
    client = Client(tmp_path / "runs", training="tests.playground.scripted", at_once=2)
    visitors = Visitors(client)
    queue = RunQueue(client, visitors)
    people = [visitors.from_token(digit * 64) for digit in "abc"]
    try:
        one, two = (queue.join(person, LONG) for person in people[:2])
        assert queue.join(people[2], LONG) is None and client.live() == [one, two]
        begun(client, 2)
        client.send(one, "stop")
        third = begun(client, 3)
        assert client.live() == [two, third]
    finally:
        client.close()


def test_a_presenter_goes_first(client, visitors, queue, people):
    queue.join(people[0], LONG)
    queue.join(people[1], SHORT)
    visitors.presenters.sign_in(people[2], KEY, "here")
    queue.join(people[2], SHORT)
    assert [queue.position(person).number for person in people[1:3]] == [2, 1]


def test_another_visitor_cannot_stop_or_change_a_run(client, visitors, queue, people):
    handlers = TrainHandlers(client, WORDS, queue)
    run = queue.join(people[0], LONG | {"method": "dpo"})
    begun(client, 1)
    for visitor in (people[1], None, visitors.from_token("f" * 64)):
        handlers.command("stop", run, visitor=visitor)
        handlers.command("stop", visitor=visitor)
        values = {"task": "reviews", "method": "dpo", "beta": 3.0, "live": run}
        handlers.set_live("beta", values, visitor=visitor)
        standing = handlers.live.visitor_state(run, visitor)
        assert (standing["steers"], standing["own"], standing["free"]) == (False, None, False)
    client.send(run, "pause")  # it comes after what they had sent
    until(lambda: client.status(run)["status"] == "paused")
    assert client.live() == [run]
    assert all(event["kind"] != "change" for event in client.events(run)[0])
    visitors.presenters.sign_in(people[1], KEY, "here")
    handlers.command("stop", run, visitor=people[1])
    until(lambda: not client.live())


def test_everyone_watches_a_live_run_and_only_its_owner_finds_it_later(client, queue, people):
    handlers = TrainHandlers(client, WORDS, queue)
    mine, yours = people[:2]
    run = queue.join(mine, LONG)
    begun(client, 1)
    cursor = handlers.live.delta(Cursor.of({"run": run}), yours)
    assert cursor["run"] == run and cursor["config"]
    client.send(run, "stop")
    until(lambda: not client.live())
    end = handlers.live.delta(Cursor.of({"run": run, "offset": cursor["offset"]}), yours)
    assert (end["run"], end["status"]["name"]) == (run, "stopped")
    assert handlers.live.delta(Cursor(), mine)["run"] == run
    for visitor in (yours, people[2]):
        assert handlers.live.delta(Cursor(), visitor)["run"] != run
    assert handlers.live.delta(Cursor.of({"run": run, "offset": 0}), people[2])["run"] != run


def test_a_page_keeps_showing_its_visitors_run_while_another_is_live(client, queue, people):
    handlers = TrainHandlers(client, WORDS, queue)
    mine, yours = people[:2]
    own = queue.join(mine, SHORT)
    until(lambda: own in client.runs() and not client.live())
    other = queue.join(yours, LONG)
    assert handlers.live.delta(Cursor.of({"run": own, "offset": 0}), mine)["run"] == own
    reloaded = handlers.live.delta(Cursor(), mine)
    assert reloaded["run"] == own
    assert handlers.live.visitor_state(own, mine)["other"] == {"run": other} | {
        name: LONG[name] for name in ("method", "task")
    }
    watching = handlers.live.delta(Cursor.of({"run": other, "chosen": True}), mine)
    assert watching["run"] == other and watching["config"]
    assert handlers.live.delta(Cursor.of({"run": other, "offset": 0}), mine)["run"] == other


def test_bad_settings_are_reported_before_they_are_queued(client, queue, people):
    queue.join(people[0], LONG)
    with pytest.raises(ConfigError, match="--steps got -1"):
        queue.join(people[1], SHORT | {"steps": -1})
    assert queue.position(people[1]) is None


@pytest.mark.parametrize("kind", [OSError, RuntimeError, ZeroDivisionError])
def test_a_queued_run_that_cannot_start_is_reported_and_skipped(
    client, visitors, queue, people, monkeypatch, kind
):
    """Whatever one entry raises, the next one starts, and its visitor may press Run again."""
    start = client.start

    def fail_once(**options):
        monkeypatch.setattr(client, "start", start)
        raise kind("no memory")

    first = queue.join(people[0], LONG)
    queue.join(people[1], LONG)
    queue.join(people[2], LONG)
    monkeypatch.setattr(client, "start", fail_once)
    client.send(first, "stop")
    assert visitors.owns(people[2], begun(client, 2))
    assert queue.start_errors(people[1]) == [plain("no memory")]
    assert queue.join(people[1], SHORT) is None and queue.start_errors(people[1]) == []


def test_a_fault_while_runs_wait_does_not_end_the_queue(
    client, visitors, queue, people, monkeypatch, caplog
):
    make_room, faults = client.make_room, []
    first = queue.join(people[0], LONG)
    queue.join(people[1], LONG)

    def fail_twice():
        if threading.current_thread() is not threading.main_thread() and len(faults) < 2:
            faults.append("a fault")
            raise RuntimeError(faults[-1])
        make_room()

    monkeypatch.setattr(client, "make_room", fail_twice)
    until(lambda: len(faults) == 2)
    client.send(first, "stop")
    assert visitors.owns(people[1], begun(client, 2))
    assert [record.getMessage() for record in caplog.records].count("fault") == 2


def test_a_run_that_no_thread_can_wait_for_is_not_queued(client, queue, people, monkeypatch):
    """It would stand in the queue for ever, and its visitor could start no other run."""
    first = queue.join(people[0], LONG)

    class NoThread(threading.Thread):
        def start(self):
            raise RuntimeError("can't start new thread")

    with monkeypatch.context() as without:
        without.setattr(module.threading, "Thread", NoThread)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            queue.join(people[1], LONG)
    assert queue.length() == 0 and queue.position(people[1]) is None
    assert queue.join(people[1], SHORT) is None
    client.send(first, "stop")
    begun(client, 2)


def test_a_pipeline_whose_first_run_was_deleted_says_so(client, queue, people, monkeypatch):
    run = queue.join(people[0], LONG, then=lambda run: SHORT)
    begun(client, 1)

    def gone(name):
        raise ConfigError(plain(f"{name} is no run here"))

    monkeypatch.setattr(client, "status", gone)
    until(lambda: queue.start_errors(people[0]))
    assert queue.start_errors(people[0]) == [plain(f"{run} is no run here")]


def test_few_errors_are_remembered(monkeypatch):
    monkeypatch.setattr(module, "MAX_REMEMBERED", 2)
    kept = {}
    for who in "abc":
        module._remember(kept, who, who.upper())
    assert kept == {"b": "B", "c": "C"}


def test_the_time_limit_applies_to_every_run(client, visitors, people):
    queue = RunQueue(client, visitors, time_limit=30.0)
    run = queue.join(people[0], LONG)
    assert client.config(run)["time_limit"] == 30.0


def test_a_run_that_exceeds_its_time_limit_is_stopped(client, visitors, people, monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.5)
    queue = RunQueue(client, visitors, time_limit=1.0)
    run = queue.join(people[0], LONG)  # scripted runs ignore their time limit
    queue.join(people[1], LONG)
    begun(client, 2)
    assert client.status(run)["status"] == "stopped"


def test_the_waiting_time_depends_on_the_runs_ahead(client, visitors, people, monkeypatch):
    """Two slots, whose runs end in 10 s and 4 s. Queued runs take 20 s each, so they start after
    4 s, 10 s and 4 + 20 = 24 s."""
    queue = RunQueue(client, visitors)
    queue.join(people[0], LONG)
    monkeypatch.setattr(client, "at_once", 2)
    monkeypatch.setattr(client, "free", lambda: False)
    monkeypatch.setattr(client, "live", lambda: ["one", "two"])
    monkeypatch.setattr(client, "estimate", lambda **options: 20.0)
    monkeypatch.setattr(queue, "_has_run", lambda visitor: False)
    seconds = {"one": 10.0, "two": 4.0}
    monkeypatch.setattr(
        queue._waiting_times, "_live_run_duration", lambda run: (seconds[run], True)
    )
    for person in people[1:]:
        queue.join(person, SHORT)
    assert [queue.position(person) for person in people[1:]] == [
        Position(1, 4.0, True),
        Position(2, 10.0, True),
        Position(3, 24.0, True),
    ]


def test_the_waiting_time_includes_slow_motion(client, visitors, people, monkeypatch):
    """10 s until the slot is free, then 20 s for a run and 2 s after each of its 9 steps."""
    queue = RunQueue(client, visitors)
    queue.join(people[0], LONG)
    monkeypatch.setattr(client, "estimate", lambda delay, **options: 20.0 + 9 * delay)
    monkeypatch.setattr(queue._waiting_times, "_live_run_duration", lambda run: (10.0, True))
    queue.join(people[1], SHORT, 2.0)
    queue.join(people[2], SHORT)
    assert queue.position(people[2]) == Position(2, 10.0 + 20.0 + 18.0, True)


def test_invented_visitors_do_not_fill_the_queue(client, visitors, people, monkeypatch):
    queue = RunQueue(client, visitors, limits=Limits(waiting=2))
    estimates = []
    monkeypatch.setattr(client, "estimate", lambda **options: estimates.append(1) or 20.0)
    queue.join(people[0], LONG)
    crowd = [visitors.from_token(f"{i:064x}") for i in range(5)]
    for person in crowd[:2]:
        assert queue.join(person, SHORT) is None
    for person in crowd[2:]:
        with pytest.raises(QueueFull):
            queue.join(person, SHORT)
        with pytest.raises(QueueFull):
            queue.join_quick_run(person, "shift", 20.0)
    visitors.presenters.sign_in(people[1], KEY, "here")
    assert queue.join(people[1], SHORT) is None
    assert len(estimates) == 1 + 2 + 3 + 1, "once for each visitor who came"
    monkeypatch.setattr(waiting_times, "ESTIMATE_SECONDS", -1)
    order = [people[1], *crowd[:2]]
    assert [queue.position(person).number for person in order] == [1, 2, 3]
    assert len(estimates) <= 7 + 3, "then of the live run alone"
    queue.leave(people[1])
    queue.leave(crowd[0])
    assert queue.join(crowd[2], SHORT) is None


def test_an_unknown_waiting_time_is_bounded_by_the_time_limit(client, visitors, people):
    bounded, open_ended = RunQueue(client, visitors, 30.0), RunQueue(client, visitors)
    run = open_ended.join(people[0], LONG)
    begun(client, 1)
    open_ended.join(people[1], LONG)
    assert open_ended.position(people[1]) == Position(1, None, False)
    client.send(run, "stop")
    open_ended.leave(people[1])
    until(lambda: not client.live())
    bounded.join(people[0], LONG)
    begun(client, 2)
    for person in people[1:3]:
        bounded.join(person, LONG)
    first, second, later = (bounded.position(people[n]) for n in (1, 2, 1))
    assert 0 < first.seconds <= 30 and not first.estimated  # part of the limit has passed
    assert (second.number, second.estimated) == (2, False)
    assert later.seconds + 30 <= second.seconds <= first.seconds + 30, "time passes"


def test_nothing_waits_for_a_slot_of_a_closed_client(client, queue, people):
    for person in people[:2]:
        queue.join(person, LONG)
    assert queue._thread_running
    client.close()
    until(lambda: not queue._thread_running)
    assert queue.length() == 1
