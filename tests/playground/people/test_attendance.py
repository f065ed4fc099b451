"""The time after which a run's owner counts as gone, and the effects, on a simulated clock."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from playground import text
from playground.content.new_events import Cursor
from playground.handlers.train import TrainHandlers
from playground.people.attendance import Attendance
from playground.people.run_queue import RunQueue
from playground.people.visitors import Visitors
from tests.playground.people.test_run_queue import LONG, begun


@pytest.fixture
def clock():
    return SimpleNamespace(now=1000.0)


@pytest.fixture
def attendance(clock):
    return Attendance(lambda: clock.now)


def test_a_run_counts_as_watched_for_one_minute_and_by_a_hidden_tab_for_three(attendance, clock):
    attendance.extend("polled")
    attendance.extend("hidden", 180)
    attendance.extend("hidden")  # another tab of the same visitor, which was closed
    for now, gone in ((1059.9, []), (1060, ["polled"]), (1061, []), (1180, ["hidden"])):
        clock.now = now
        assert attendance.take_unwatched(["hidden", "polled"]) == gone, "each once"
    attendance.extend("ended")
    assert attendance.take_unwatched([]) == []
    clock.now += 60
    assert attendance.take_unwatched(["ended"]) == [], "forgotten, because it had ended"


def test_a_run_may_begin_while_others_are_checked(attendance, clock):
    begins = threading.Thread(target=attendance.extend, args=("new",))

    class Live(list):
        def __contains__(self, run):
            if begins.ident is None:
                begins.start()
                begins.join(0.1)  # it waits until all were checked
            return super().__contains__(run)

    for run in ("first", "second"):
        attendance.extend(run)
    assert attendance.take_unwatched(Live(["first", "second"])) == []
    begins.join()
    clock.now += 60
    assert attendance.take_unwatched(["first", "new"]) == ["first", "new"]


@pytest.fixture
def queue(client, attendance):
    return RunQueue(client, Visitors(client, public=True), 300.0, attendance=attendance)


@pytest.fixture
def people(queue):
    return [queue.visitors.from_token(digit * 64) for digit in "abc"]


def test_a_run_whose_owner_left_is_stopped_and_its_owner_is_informed(client, queue, people, clock):
    words = text.load("en")
    pages = TrainHandlers(client, words, queue)
    first = queue.join(people[0], LONG)
    begun(client, 1)
    clock.now += 59
    pages.live.new_events(Cursor.of({"run": first, "offset": 0}), people[0])
    pages.live.new_events(Cursor.of({"run": first, "offset": 0}), people[2])  # a watcher
    clock.now += 61
    assert client.live() == [first], "nobody waits"
    queue.join(people[1], LONG)
    second = begun(client, 2)
    told = pages.live.new_events(Cursor(), people[0])
    assert (told["run"], told["status"]["name"]) == (first, "stopped")
    assert told["status"]["message"] == words["messages"]["unwatched"]
    queue.join(people[2], LONG)
    clock.now += 61  # the second began from the queue, and its owner never asked
    third = begun(client, 3)
    assert queue.visitors.owns(people[1], second) and queue.visitors.owns(people[2], third)
    assert client.status(second)["cause"]["kind"] == "unwatched"


def test_only_the_owners_page_counts_and_its_hidden_tab_counts_longer(attendance, clock):
    sent = []
    client = SimpleNamespace(live=lambda: ["hers"], send=lambda *stop, **_: sent.append(stop))
    visitors = SimpleNamespace(owns=lambda visitor, run: visitor == "ann")
    queue = RunQueue(client, visitors, quick_runs=SimpleNamespace(), attendance=attendance)
    queue.note_request("ann", hidden=True)
    for now, visitor in ((1170, "bob"), (1179.9, "bob"), (1180, "bob")):
        clock.now = now
        assert sent == []
        queue.note_request(visitor, hidden=False)
        queue._stop_unwatched()
    queue._stop_unwatched()
    assert sent == [("hers", "stop")]


def test_on_a_private_server_a_run_continues(client, attendance, clock):
    queue = RunQueue(client, Visitors(client), attendance=attendance)
    ann, bob = (queue.visitors.from_token(digit * 64) for digit in "ab")
    run = queue.join(ann, LONG)
    begun(client, 1)
    clock.now += 1000
    queue.join(bob, LONG)
    client.send(run, "stop")
    begun(client, 2)
    assert "cause" not in client.status(run), "its owner stopped it"
