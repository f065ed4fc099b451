"""The owner of an own task, to handlers, to queries and on the pages of others."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from align_core.config import task_card
from align_core.config.run_config import resolve
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from align_core.tasks.folder import example
from align_core.tasks.loader import get_task
from playground import text
from playground.content import optimum, tasks
from playground.content.new_events import Cursor
from playground.handlers.train import TrainHandlers
from playground.people.access import VisibleModels, VisibleRuns
from playground.people.requests import with_named_task, with_named_values
from playground.people.run_queue import RunQueue
from playground.people.visitors import COOKIE, Visitors

MINE, THEIRS = "a" * 64, "b" * 64  # tokens
RUN = "2026-01-02-030405-ppo-own"
WORDS = tasks.with_task_words(text.load())


@pytest.fixture
def visitors(tmp_path):
    visitors = Visitors(Client(tmp_path / "runs"))
    source = tmp_path / "new"
    example.write_new(source, "FOLDER")
    card = task_card.card(get_task(str(source)).full_name)
    task_card.forget(card.full_name)
    files = {path.name: path.read_bytes() for path in source.iterdir()}
    me = visitors.from_token(MINE)
    with visitors.own.staged(files) as staged:
        visitors.own.keep(me, staged, replace(card, reference="sft-reviews"), files)
    yield visitors
    visitors.own.delete(me)


@pytest.fixture
def path(visitors):
    """The full name of MINE's task."""
    return visitors.own.full_name(visitors.from_token(MINE), tasks.OWN)


@pytest.fixture
def run(visitors, path, tmp_path):
    RunDirectory.create(tmp_path / "runs" / RUN, resolve("ppo", path)).close()
    return RUN


def request(token):
    return SimpleNamespace(headers={}, cookies={COOKIE: token})


def test_an_own_task_is_not_offered_to_everyone(path):
    assert task_card.card(path).reference == "sft-reviews"
    assert path not in task_card.registered() and path not in tasks.available()


def test_only_handlers_get_the_full_name_of_an_own_task(visitors, path):
    seen = []

    def handler(values, visitor):
        seen.append(values["task"])
        return {"task": values["task"], "picture": {"task": values["task"], "method": "ppo"}}

    task, picture = object(), object()
    wrapped = with_named_values(visitors, {"task": task, "picture": picture}, "choose", handler)
    mine, theirs = request(MINE), request(THEIRS)
    shown = {task: "own", picture: {"task": "own", "method": "ppo"}}
    assert wrapped(mine, {task: "own"}) == wrapped(mine, {task: path}) == shown
    wrapped(theirs, {task: "own"})
    wrapped(theirs, {task: path})
    wrapped(theirs, {task: "reviews"})
    assert seen == [path, path, "own", "own", "reviews"]


def test_lists_and_queries_of_others_have_no_path(visitors, path, run):
    client = Client(visitors._client.root)
    me, other = (visitors.from_token(token) for token in (MINE, THEIRS))
    names = [VisibleRuns(client, visitors, who).config(run)["task"] for who in (me, other)]
    assert names == [tasks.OWN, tasks.OTHERS]
    helper = SimpleNamespace(generate=lambda **arguments: arguments["task"])
    asked = [VisibleModels(helper, visitors, who).generate(task="own") for who in (me, other)]
    assert asked == [path, "own"]
    function = with_named_task(visitors, lambda query: query["task"])
    assert [function(request(token), {"task": "own"}) for token in (MINE, THEIRS)] == [path, "own"]


def test_a_name_without_a_task_has_no_optimum(path):
    for task in (tasks.OWN, tasks.EARLIER, tasks.OTHERS, path):
        assert optimum.frontier({"task": task}) is None


def test_a_visitor_without_a_task_is_asked_to_make_one(visitors):
    handlers = TrainHandlers(visitors._client, WORDS, RunQueue(visitors._client, visitors))
    chosen = handlers.choose({"task": "own", "method": "dpo"})
    assert chosen["picture"] == {"task": "own", "method": "dpo", "loss": "sigmoid"}
    assert chosen["task_explanation"] == WORDS["own"]["explanation"]
    started = handlers.start({"task": "own", "method": "dpo", "pace": 0.0})
    assert started["errors"] == [["task", WORDS["own"]["missing"]]]
    assert started["live"]["run"] is None


def test_a_run_on_an_own_task_opens_only_for_its_maker(visitors, path, run):
    visitors._set_owner(run, type(visitors._owner(run))(visitors.from_token(MINE), shared=True))
    handlers = TrainHandlers(visitors._client, WORDS, RunQueue(visitors._client, visitors))
    me, other = (visitors.from_token(token) for token in (MINE, THEIRS))
    assert handlers.restore(watched=run, visitor=me)["task"] == path
    assert handlers.restore(watched=run, visitor=other)["task"] == "reviews"
    cursor = Cursor(run=run, chosen=True)
    shown = [handlers.live.delta(cursor, visitor)["config"] for visitor in (me, other)]
    assert [config["task"] for config in shown] == [tasks.OWN, tasks.OTHERS]
