"""Quick runs of the lab's experiments in the run queue, and the state of their cards."""

from __future__ import annotations

import os
import re
import signal

import pytest

from align_core.experiments.quick_runs import QuickRuns
from playground import text
from playground.handlers import quick_runs as module
from playground.handlers.quick_runs import NAMES, QuickRunHandlers
from playground.handlers.train import TrainHandlers
from playground.people.run_queue import AlreadyHasRun, RunQueue
from playground.people.visitors import Visitors
from playground.text import durations
from tests.playground.scripted_quick_run import GO
from tests.waiting import until

KEY = "correct horse battery"
NAME, OTHER = "overoptimisation", "shift"
SHORT = {"method": "reward", "task": "reviews", "steps": 4}
LONG = SHORT | {"steps": 5000}


@pytest.fixture
def queue(client, tmp_path, monkeypatch):
    monkeypatch.setenv("SCRIPTED_QUICK_RUN", "awaits")
    quick_runs = QuickRuns(tmp_path / "quick_runs", module="tests.playground.scripted_quick_run")
    queue = RunQueue(client, Visitors(client, KEY), quick_runs=quick_runs)
    yield queue
    for entry in list(queue._entries):
        queue.leave(entry.visitor)
    for name in quick_runs.live():
        quick_runs.stop(name)
    until(lambda: not quick_runs.live())


@pytest.fixture
def people(queue):
    return [queue.visitors.from_token(digit * 64) for digit in "abc"]


@pytest.fixture
def cards(queue):
    return QuickRunHandlers(queue, text.load("en"))


def go(tmp_path):
    (tmp_path / "quick_runs" / GO).touch()


def state_of(cards, person, name=NAME, **known):
    return cards.states(known, person)[name]


def words(language="en"):
    return text.load(language)["lab"]["quick_run"]


def test_a_quick_run_takes_the_place_of_a_run(client, queue, people, tmp_path):
    queue.join_quick_run(people[0], NAME, 16.0)
    assert queue.quick_runs.live() == [NAME] and not queue.has_free_slot()
    assert queue.join(people[1], SHORT) is None
    assert queue.position(people[1]).number == 1
    assert 0 <= queue.position(people[1]).seconds <= 16.0
    assert client.live() == []
    go(tmp_path)
    until(lambda: client.runs())
    assert not queue.quick_runs.live()


def test_a_queued_quick_run_starts_when_a_run_ends(client, queue, people):
    run = queue.join(people[0], LONG)
    queue.join_quick_run(people[1], NAME, 16.0)
    assert queue.is_quick_run_queued(NAME) and queue.queued_quick_run(people[1]) == NAME
    assert queue.quick_runs.live() == []
    client.send(run, "stop")
    until(lambda: queue.quick_runs.live() == [NAME] and not queue.is_quick_run_queued(NAME))


def test_two_slots_take_a_run_and_a_quick_run(client, queue, people):
    client.at_once = 2
    queue.join_quick_run(people[0], NAME, 16.0)
    assert queue.join(people[1], LONG) in client.live()
    assert not queue.has_free_slot()
    queue.join_quick_run(people[2], OTHER, 16.0)
    assert queue.quick_runs.live() == [NAME] and queue.is_quick_run_queued(OTHER)


def test_a_visitor_has_one_run_or_quick_run(queue, people):
    queue.join_quick_run(people[0], NAME, 16.0)
    for refused in (
        lambda: queue.join(people[0], SHORT),
        lambda: queue.join_quick_run(people[0], OTHER, 1),
    ):
        with pytest.raises(AlreadyHasRun):
            refused()
    queue.join_quick_run(people[1], OTHER, 16.0)
    with pytest.raises(AlreadyHasRun):
        queue.join(people[1], SHORT)


def test_an_experiment_has_one_quick_run_at_a_time(queue, people):
    queue.join_quick_run(people[0], NAME, 16.0)
    queue.join_quick_run(people[1], NAME, 16.0)
    assert queue.queued_quick_run(people[1]) is None
    queue.join_quick_run(people[1], OTHER, 16.0)
    queue.join_quick_run(people[2], OTHER, 16.0)
    assert queue.queued_quick_run(people[2]) is None


def test_the_time_limit_also_applies_to_quick_runs(client, people, tmp_path, monkeypatch):
    monkeypatch.setenv("SCRIPTED_QUICK_RUN", "waits")
    quick_runs = QuickRuns(tmp_path / "quick_runs", module="tests.playground.scripted_quick_run")
    queue = RunQueue(client, Visitors(client), time_limit=0.5, quick_runs=quick_runs)
    queue.join_quick_run(people[0], NAME, None)
    until(lambda: not quick_runs.live())
    state = state_of(QuickRunHandlers(queue, text.load("zh")), people[0])
    assert state["status"] == "stopped"
    assert text.load("zh")["messages"]["time_limit"] in state["sentence"]


def test_the_train_view_shows_a_live_quick_run(client, queue, people):
    handlers = TrainHandlers(client, text.load("en"), queue)
    assert handlers.live.visitor_state(None, people[0])["quick_run"] is None
    queue.join_quick_run(people[0], NAME, 16.0)
    states = [handlers.live.visitor_state(None, person) for person in people[:2]]
    assert [state["quick_run"] for state in states] == ["own", "other"]
    assert not states[0]["free"]


def test_a_card_follows_its_quick_run_and_gets_its_result_once(cards, people, tmp_path):
    me, other = people[:2]
    assert state_of(cards, me)["status"] is None
    assert cards.start(NAME, me) == ""
    state = until(lambda: (one := state_of(cards, me))["done"] and one)
    running = words()["running"].format(done=1, count=3)
    assert state["sentence"] == f"{words()['own']} {running}"
    assert state["own"] and state["steers"] and state["done"] == pytest.approx(1 / 3)
    theirs = state_of(cards, other)
    assert theirs["sentence"] == f"{words()['other']} {running}"
    assert not theirs["own"] and not theirs["steers"]
    go(tmp_path)
    state = until(lambda: (one := state_of(cards, other))["status"] == "finished" and one)
    assert state["result"]["size"] == words()["size"].format(runs=3, seeds=1)
    assert len(state["result"]["panels"]) > 1
    again = state_of(cards, other, **{NAME: state["stamp"]})
    assert (again["result"], again["stamp"]) == (None, state["stamp"])
    assert state_of(cards, other, OTHER)["status"] is None


def test_only_owner_and_presenter_stop_a_quick_run(cards, queue, people):
    queue.visitors.presenters.sign_in(people[2], KEY, "here")
    for stops, ended in ((1, False), (0, True), (2, True)):
        cards.start(NAME, people[0])
        until(lambda: state_of(cards, people[0]).get("done"))
        cards.stop(NAME, people[stops])
        if ended:
            until(lambda: state_of(cards, people[0])["status"] == "stopped")
        else:
            assert queue.quick_runs.live() == [NAME]
            cards.stop(NAME, people[0])
            until(lambda: not queue.quick_runs.live())


def test_a_queue_position_is_shown_and_can_be_given_up(cards, client, queue, people):
    queue.join(people[0], LONG)
    cards.start(NAME, people[1])
    mine, theirs = state_of(cards, people[1]), state_of(cards, people[2])
    assert mine["status"] == theirs["status"] == "waiting"
    assert re.match(re.escape(words()["waits"].split("{")[0]) + "1", mine["sentence"])
    assert theirs["sentence"] == words()["waits_other"]
    cards.stop(NAME, people[2])
    assert queue.is_quick_run_queued(NAME), "it is another visitor's"
    cards.stop(NAME, people[1])
    assert state_of(cards, people[1])["status"] is None


def test_a_second_quick_run_is_refused_in_plain_words(cards, people):
    cards.start(NAME, people[0])
    assert cards.start(OTHER, people[0]) == text.load("en")["visitors"]["one_each"]


def test_a_killed_quick_run_is_reported_in_both_languages(cards, queue, people, tmp_path):
    cards.start(NAME, people[0])
    until(lambda: state_of(cards, people[0]).get("done"))
    pid = int((tmp_path / "quick_runs" / NAME / "pids").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    until(lambda: state_of(cards, people[0])["status"] == "failed")
    for language in text.languages():
        sentence = state_of(QuickRunHandlers(queue, text.load(language)), people[0])["sentence"]
        assert text.load(language)["messages"]["killed"] in sentence


@pytest.mark.parametrize("name", ["coverage", "../../etc", None, ["shift"], {}, 7])
def test_only_experiments_have_quick_runs(cards, queue, people, name):
    assert cards.start(name, people[0]) == ""
    cards.stop(name, people[0])
    assert not queue.quick_runs.live()
    assert set(cards.states(name, people[0])) == set(NAMES)


def test_the_button_shows_the_measured_duration(cards, monkeypatch, tmp_path):
    labels = cards.labels()
    seconds = {name: module.seconds(name) for name in NAMES}
    assert {NAME, OTHER} <= {name for name, measured in seconds.items() if measured}
    for name, measured in seconds.items():
        time_needed = measured and durations.duration(measured, text.load("en"))
        expected = words()["start_needs"].format(time=time_needed)
        assert labels[name] == (expected if measured else words()["start"])
    monkeypatch.setattr(module, "_MEASURED", tmp_path / "nowhere.json")
    assert set(cards.labels().values()) == {words()["start"]}
