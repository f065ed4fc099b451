"""The line in front of a busy machine, with real processes of scripted runs."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from align_core.config.errors import ConfigError
from align_core.config.messages import plain
from align_core.runs.client import Client
from playground import text
from playground.handlers.train import Steering
from playground.people import run_queue as module
from playground.people.run_queue import Line, OneEach, Place
from playground.people.visitors import Visitors

WORDS = text.load("en")
KEY = "correct horse battery"
SHORT = {"method": "reward", "task": "reviews", "steps": 4}
LONG = SHORT | {"steps": 5000}


@pytest.fixture
def visitors(client):
    return Visitors(client, KEY)


@pytest.fixture
def line(client, visitors):
    return Line(client, visitors)


@pytest.fixture
def people(visitors):
    return [visitors.known(digit * 64) for digit in "abcd"]


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "this did not happen in time"
        time.sleep(0.01)
    return value


def begun(client, n):
    """Waits for `n` runs in all; returns the newest, which has written something."""
    until(lambda: len(client.runs()) == n)
    newest = client.runs()[0]
    until(lambda: client.events(newest)[0])
    return newest


def owner(visitors, people, run):
    return next(person for person in people if visitors.owns(person, run))


def test_who_comes_first_is_served_first_and_nobody_has_two(client, visitors, line, people):
    first = line.join(people[0], LONG)
    assert client.live() == [first]
    for person in people[1:]:
        assert line.join(person, SHORT) is None
    for person in people:
        with pytest.raises(OneEach):
            line.join(person, SHORT)
    assert [line.place(person) and line.place(person).number for person in people] == [
        None,
        1,
        2,
        3,
    ]
    line.leave(people[2])
    assert line.place(people[3]).number == 2
    client.send(first, "stop")
    until(lambda: len(client.runs()) == 3 and not client.live())
    assert [owner(visitors, people, run) for run in client.runs()[::-1]] == [
        people[0],
        people[1],
        people[3],
    ]
    assert not any(line.place(person) for person in people)


def test_many_at_once_start_one_run(client, visitors, line, people):
    began = []
    threads = [
        threading.Thread(target=lambda person=person: began.append(line.join(person, LONG)))
        for person in people
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(client.live()) == 1 and sum(run is not None for run in began) == 1
    waiting = sorted(line.place(person).number for person in people if line.place(person))
    assert waiting == [1, 2, 3]


def test_a_killed_run_lets_the_next_begin(client, visitors, line, people):
    begun_first = line.join(people[0], LONG)
    begun(client, 1)
    line.join(people[1], LONG)
    os.kill(client.pid(), signal.SIGKILL)
    second = begun(client, 2)
    assert second != begun_first and visitors.owns(people[1], second)
    assert client.status(begun_first)["status"] == "failed"


def test_two_places_hold_two_runs(tmp_path, fake_assets):
    client = Client(tmp_path / "runs", training="tests.playground.scripted", at_once=2)
    visitors = Visitors(client)
    line = Line(client, visitors)
    people = [visitors.known(digit * 64) for digit in "abc"]
    try:
        one, two = (line.join(person, LONG) for person in people[:2])
        assert line.join(people[2], LONG) is None and client.live() == [one, two]
        begun(client, 2)
        client.send(one, "stop")
        third = begun(client, 3)
        assert client.live() == [two, third]
    finally:
        client.close()


def test_a_presenter_goes_first(client, visitors, line, people):
    line.join(people[0], LONG)
    line.join(people[1], SHORT)
    visitors.enter(people[2], KEY, "here")
    line.join(people[2], SHORT)
    assert [line.place(person).number for person in people[1:3]] == [2, 1]


def test_another_visitor_stops_and_turns_nothing(client, visitors, line, people):
    steering = Steering(client, WORDS, line)
    run = line.join(people[0], LONG | {"method": "dpo"})
    begun(client, 1)
    for visitor in (people[1], None, visitors.known("f" * 64)):
        steering.command("stop", run, visitor=visitor)
        steering.command("stop", visitor=visitor)
        turned = {"task": "reviews", "method": "dpo", "beta": 3.0, "live": run}
        steering.turn("beta", turned, visitor=visitor)
        standing = steering.standing(run, visitor)
        assert (standing["steers"], standing["own"], standing["free"]) == (False, None, False)
    time.sleep(0.3)
    assert client.live() == [run]
    assert all(event["kind"] != "change" for event in client.events(run)[0])
    visitors.enter(people[1], KEY, "here")
    steering.command("stop", run, visitor=people[1])
    until(lambda: not client.live())


def test_all_watch_a_live_run_to_its_end_and_only_its_owner_finds_it_again(client, line, people):
    steering = Steering(client, WORDS, line)
    mine, yours = people[:2]
    run = line.join(mine, LONG)
    begun(client, 1)
    cursor = steering.delta({"run": None}, yours)
    assert cursor["run"] == run and cursor["config"]
    client.send(run, "stop")
    until(lambda: not client.live())
    end = steering.delta({"run": run, "offset": cursor["offset"]}, yours)
    assert (end["run"], end["status"]["name"]) == (run, "stopped")
    assert steering.delta({"run": None}, mine)["run"] == run
    for visitor in (yours, people[2]):
        assert steering.delta({"run": None}, visitor)["run"] != run
    assert steering.delta({"run": run, "offset": 0}, people[2])["run"] != run


def test_a_page_stays_with_its_own_run_while_anothers_is_live(client, line, people):
    steering = Steering(client, WORDS, line)
    mine, yours = people[:2]
    own = line.join(mine, SHORT)
    until(lambda: own in client.runs() and not client.live())
    other = line.join(yours, LONG)
    assert steering.delta({"run": own, "offset": 0}, mine)["run"] == own
    assert steering.delta({"run": None}, mine)["run"] == own  # a reload
    assert steering.standing(own, mine)["other"] == other
    watching = steering.delta({"run": other, "chosen": True}, mine)
    assert watching["run"] == other and watching["config"]
    assert steering.delta({"run": other, "offset": 0}, mine)["run"] == other


def test_bad_settings_are_told_before_they_wait(client, line, people):
    line.join(people[0], LONG)
    with pytest.raises(ConfigError, match="--steps got -1"):
        line.join(people[1], SHORT | {"steps": -1})
    assert line.place(people[1]) is None


def test_a_run_that_cannot_begin_in_its_turn_is_told_and_holds_up_nobody(
    client, visitors, line, people, monkeypatch
):
    start = client.start

    def fail_once(**options):
        monkeypatch.setattr(client, "start", start)
        raise OSError("no memory")

    first = line.join(people[0], LONG)
    line.join(people[1], LONG)
    line.join(people[2], LONG)
    monkeypatch.setattr(client, "start", fail_once)
    client.send(first, "stop")
    assert visitors.owns(people[2], begun(client, 2))
    assert line.refused(people[1]) == [plain("no memory")]


def test_every_run_has_the_time_limit(client, visitors, people):
    line = Line(client, visitors, time_limit=30.0)
    run = line.join(people[0], LONG)
    assert client.config(run)["time_limit"] == 30.0


def test_a_run_that_does_not_heed_its_time_limit_is_stopped(client, visitors, people, monkeypatch):
    monkeypatch.setattr(module, "GRACE", 0.5)
    line = Line(client, visitors, time_limit=1.0)
    run = line.join(people[0], LONG)  # scripted runs know no limit
    line.join(people[1], LONG)
    begun(client, 2)
    assert client.status(run)["status"] == "stopped"


def test_the_waiting_time_is_that_of_those_ahead(client, visitors, people, monkeypatch):
    """Two places, whose runs end in 10 and 4 s; 20 s each for those who wait:
    4 (then 24), 10 (then 30), 24."""
    line = Line(client, visitors)
    line.join(people[0], LONG)
    monkeypatch.setattr(client, "at_once", 2)
    monkeypatch.setattr(client, "free", lambda: False)
    monkeypatch.setattr(client, "live", lambda: ["one", "two"])
    monkeypatch.setattr(client, "estimate", lambda **options: 20.0)
    monkeypatch.setattr(line, "_has_one", lambda visitor: False)
    monkeypatch.setattr(line, "_left", lambda run: ({"one": 10.0, "two": 4.0}[run], True))
    for person in people[1:]:
        line.join(person, SHORT)
    assert [line.place(person) for person in people[1:]] == [
        Place(1, 4.0, True),
        Place(2, 10.0, True),
        Place(3, 24.0, True),
    ]


def test_who_waits_behind_slow_motion_waits_as_long(client, visitors, people, monkeypatch):
    """10 s until the first place is free, then 20 s of a run and 2 s after each of 9 steps."""
    line = Line(client, visitors)
    line.join(people[0], LONG)
    monkeypatch.setattr(client, "estimate", lambda delay, **options: 20.0 + 9 * delay)
    monkeypatch.setattr(line, "_left", lambda run: (10.0, True))
    line.join(people[1], SHORT, 2.0)
    line.join(people[2], SHORT)
    assert line.place(people[2]) == Place(2, 10.0 + 20.0 + 18.0, True)


def test_a_wait_that_nobody_knows_is_bounded_by_the_time_limit(client, visitors, people):
    bounded, open_ended = Line(client, visitors, 30.0), Line(client, visitors)
    run = open_ended.join(people[0], LONG)
    begun(client, 1)
    open_ended.join(people[1], LONG)
    assert open_ended.place(people[1]) == Place(1, None, False)
    client.send(run, "stop")
    open_ended.leave(people[1])
    until(lambda: not client.live())
    bounded.join(people[0], LONG)
    begun(client, 2)
    for person in people[1:3]:
        bounded.join(person, LONG)
    first, second = bounded.place(people[1]), bounded.place(people[2])
    assert 20 < first.seconds <= 30 and not first.sure  # some of it has passed
    assert second == Place(2, pytest.approx(first.seconds + 30, abs=1), False)
