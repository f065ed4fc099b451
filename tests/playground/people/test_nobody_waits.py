"""A request of one visitor never waits for another visitor's."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from align_core.inference import client as inference_client
from align_core.inference.client import InferenceClient, Unanswered
from align_core.runs import forkserver
from playground import text
from playground.content.new_events import Cursor
from playground.handlers.train import TrainHandlers
from playground.people.run_queue import RunQueue
from playground.people.threads import Threads
from playground.people.visitors import Visitors
from tests import loops

RUN = {"method": "reward", "task": "reviews", "steps": 4}
ASKED = {"task": "reviews", "models": ["sft-reviews"], "prompt": "the film", "n": 1} | {
    "temperature": 1.0,
    "seed": 0,
}


@pytest.fixture
def held(monkeypatch):
    """An event; no process starts until it is set."""
    go_on, start = threading.Event(), forkserver.start

    def wait(process):
        assert go_on.wait(60)
        start(process)

    monkeypatch.setattr(forkserver, "start", wait)
    yield go_on
    go_on.set()


def at_once(function, *arguments, **options):
    """What `function` returns while the other requests still wait."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments, **options).result(30)


def test_a_cold_start_delays_no_other_visitor(client, held):
    visitors = Visitors(client)
    queue = RunQueue(client, visitors)
    ann, bob, eve = (visitors.from_token(digit * 64) for digit in "abc")
    handlers = TrainHandlers(client, text.load("en"), queue)
    run = at_once(queue.join, ann, RUN)
    assert at_once(handlers.live.new_events, Cursor.of({"run": run}), bob)["run"] == run
    assert at_once(handlers.live.visitor_state, run, ann)["own"] == run
    assert at_once(queue.join, bob, RUN) is None
    assert at_once(handlers.live.visitor_state, run, bob)["place"] == 1
    assert at_once(handlers.live.visitor_state, run, eve)["free"] is False
    at_once(queue.leave, bob)
    held.set()


def test_a_slow_estimate_delays_no_other_visitor(client, held, monkeypatch):
    queue = RunQueue(client, Visitors(client))
    queue.join("ann", RUN)
    queue.join("bob", RUN)
    estimating, go_on = threading.Event(), threading.Event()

    def slow(run):
        estimating.set()
        assert go_on.wait(60)
        return 1.0, True

    monkeypatch.setattr(queue._waiting_times, "_live_run_duration", slow)
    asking = threading.Thread(target=queue.position, args=["bob"])
    asking.start()
    assert estimating.wait(60)
    assert at_once(queue.position, "eve") is None
    assert at_once(queue.join, "eve", RUN) is None
    go_on.set()
    asking.join()


def test_threads_of_one_kind_leave_the_others_alone():
    questions, updates, go_on = Threads("questions", 1), Threads("updates", 1), threading.Event()

    async def ask():
        hanging = [asyncio.create_task(questions.run(go_on.wait, 60)) for _ in range(20)]
        answer = await asyncio.wait_for(updates.run(lambda: "news"), 30)
        go_on.set()
        await asyncio.gather(*hanging)
        return answer

    assert loops.run(ask()) == "news"


@pytest.fixture
def helper(client, monkeypatch):
    """A helper whose exchanges wait for the event `go_on`; `exchanges` counts them."""
    helper = InferenceClient(client)
    helper.exchanges, helper.go_on = [], threading.Event()

    def exchange(query, arguments):
        helper.exchanges.append(query)
        assert helper.go_on.wait(60)
        return "answered", [[{"completion": f" {arguments['seed']}"}]]

    monkeypatch.setattr(helper, "_exchange", exchange)
    return helper


def ask_all(helper, queries):
    """The answers to simultaneous queries, or their errors."""
    answers = [None] * len(queries)

    def ask(i):
        try:
            answers[i] = helper.generate(**ASKED | queries[i])[0]["samples"][0]["completion"]
        except Unanswered as error:
            answers[i] = error.message.code

    threads = [threading.Thread(target=ask, args=[i]) for i in range(len(queries))]
    for thread in threads:
        thread.start()
    return threads, answers


def test_equal_pending_questions_are_joined(helper, monkeypatch):
    joined = threading.Semaphore(0)

    class Joined(Future):
        def result(self, timeout=None):
            joined.release()
            return super().result(timeout)

    monkeypatch.setattr(inference_client, "Future", Joined)
    threads, answers = ask_all(helper, [{"seed": 7}] * 30 + [{"seed": 8}])
    for _ in range(29):
        assert joined.acquire(timeout=60)
    helper.go_on.set()
    for thread in threads:
        thread.join()
    assert answers == [" 7"] * 30 + [" 8"], "equal ones took one place of eight"
    assert helper.exchanges == ["generate"] * 2 and not helper._in_progress


def test_a_joined_question_fails_for_all_and_the_next_is_asked_again(helper, monkeypatch):
    monkeypatch.setattr(helper, "_places", threading.BoundedSemaphore(1))
    helper._places.acquire()
    threads, answers = ask_all(helper, [{"seed": 7}] * 3)
    for thread in threads:
        thread.join()
    assert answers == ["many_asking"] * 3 and not helper._in_progress
    helper._places.release()
    helper.go_on.set()
    threads, answers = ask_all(helper, [{"seed": 7}])
    threads[0].join()
    assert answers == [" 7"]


def test_a_question_waits_only_briefly_for_a_hanging_start(client, held, monkeypatch):
    monkeypatch.setattr(inference_client, "START_TIMEOUT", 0.1)
    helper = InferenceClient(client)
    with pytest.raises(Unanswered):
        at_once(helper.generate, **ASKED)
    assert helper.pid() is None and not held.is_set()
