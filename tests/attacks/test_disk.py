"""Attempts to fill the disk, with tasks and with votes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from align_core.config.messages import Message
from align_core.config.task_card import TaskCard, forget
from align_core.evaluation import prepared
from align_core.inference.client import Unanswered
from playground.limits import Limits
from playground.people import client_address as module
from playground.people.client_address import client_address
from playground.people.json_requests import Refused
from playground.people.own_tasks import PUBLIC, Full, OwnTasks
from playground.voting import rater_states, session_places
from playground.voting.rater_states import Rater
from playground.voting.room import VotingService
from tests.playground.voting.vote_server import Stored

CARD = TaskCard("own", "Own", "A task.", folder="")


@pytest.fixture
def come_from():
    yield module._ADDRESS.set
    module._ADDRESS.set("")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """server(**limits) returns tasks with these limits of places, 3 of them at most."""
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path / "cache"))
    made = []

    def serve(**limits):
        made.append(OwnTasks(tmp_path / "tasks", PUBLIC, Limits(**{"tasks": 3} | limits)))
        return made[-1]

    yield serve
    for own in made:
        for card in own._cards.values():
            forget(card.full_name)


def save(own, visitor, megabytes=0.0):
    files = {"prompts.txt": os.urandom(8), "more.txt": b"\0" * int(megabytes * 1e6)}
    with own.staged(files) as staged:
        own.keep(visitor, staged, CARD, files)


def leave(own, *visitors):
    """Their tasks were last used long ago, the first one's longest."""
    for number, visitor in enumerate(visitors):
        then = time.time() - 7200 + number
        os.utime(own._root / visitor / "card.json", (then, then))


def names(own):
    return {path.name for path in own._root.iterdir()}


def test_only_unused_tasks_are_deleted_for_room(server):
    own = server()
    for visitor in "abc":
        save(own, visitor)
    with pytest.raises(Full):
        save(own, "d")
    save(own, "a")  # who has a place
    leave(own, "b", "a")
    save(own, "d")
    assert names(own) == {"a", "c", "d"} and own.card("b") is None


def test_tasks_stay_within_their_bytes(server):
    own = server(task_megabytes=3)
    save(own, "a", 1), save(own, "b", 1)
    with pytest.raises(Full):
        save(own, "c", 1.1)
    with pytest.raises(Full):
        save(own, "a", 1.1)  # the earlier version of the same visitor is still there
    entry = prepared.Entry(prepared.folder() / "own-a-2-1-0")
    entry.path.mkdir(parents=True)
    (entry.path / prepared.FACTS).write_text(f'{{"task": "{own.card("b").full_name}"}}')
    (entry.path / "probe.npz").write_bytes(b"\0" * 900_000)
    with pytest.raises(Full):
        save(own, "c", 0.2)
    leave(own, "b")
    save(own, "c", 1.1)
    assert names(own) == {"a", "c"} and not entry.path.exists()


def test_an_address_fills_only_its_own_places(server, come_from):
    own = server(tasks=9, tasks_by_address=2, task_megabytes_by_address=2)
    come_from("10.0.0.2")
    save(own, "a")
    leave(own, "a")
    come_from("10.0.0.1")
    save(own, "b", 1), save(own, "c")
    for megabytes in (0, 1.1):
        with pytest.raises(Full):
            save(own, "d", megabytes)
    with pytest.raises(Full):
        save(own, "c", 1.1)
    assert names(own) == {"a", "b", "c"}, "nobody at another address makes way"
    leave(own, "b")
    save(own, "d")
    assert names(own) == {"a", "c", "d"} and client_address() == "10.0.0.1"


def test_a_stopped_preparation_is_deleted(server):
    own = server()
    new, old, other = (prepared.folder() / f"{name}-2-1-0" for name in ("own-a", "own-b", "my-c"))
    for folder in (new, old, other):
        folder.mkdir(parents=True)
    for folder in (old, other):
        os.utime(folder, (time.time() - 7200,) * 2)
    own.load()
    assert new.exists() and other.exists() and not old.exists()


# Votes


@pytest.fixture
def room(sessions):
    """room(**limits) is a voting service with these limits."""
    return lambda **limits: VotingService(sessions, Stored(), seed=0, limits=Limits(**limits))


class Unanswering:
    """Stands in for `Pairs` where the helper has no time."""

    def load(self, task, model):
        raise Unanswered(Message("busy", {}, "busy"))


def joined(service):
    ballot = service.join(Rater("", ""), "reviews")
    return Rater(ballot["session"], ballot["token"]), ballot["pair"]["id"]


def test_a_session_takes_no_votes_beyond_its_bytes(room, sessions, monkeypatch):
    service = room(session_megabytes=1)
    rater, pair = joined(service)
    ballot = service.cast(rater, pair, "left")
    files = sessions.root / "trained-on" / rater.session
    files.mkdir(parents=True)
    (files / "votes.jsonl").write_bytes(b"\0" * 1_000_000)
    for add in (
        lambda: service.cast(rater, ballot["pair"]["id"], "left"),
        lambda: service.simulate(rater, "gold", 10),
        lambda: service.check_size(rater),
    ):
        with pytest.raises(Refused, match="has 1 MB"):
            add()
    assert len(service.session(rater).votes()) == 1


def test_all_sessions_stay_within_their_bytes(room, sessions, monkeypatch):
    service = room(vote_megabytes=1, vote_days=7)
    raters = []
    for _ in range(3):
        rater, pair = joined(service)
        service.cast(rater, pair, "left")
        raters.append(rater)
    monkeypatch.setattr(rater_states, "IDLE_SECONDS", -1)
    monkeypatch.setattr(session_places, "UNUSED_DAYS", -1)
    service.open_room(raters[0])
    for rater in raters[:2]:
        files = sessions.root / "trained-on" / rater.session
        files.mkdir(parents=True)
        (files / "votes.jsonl").write_bytes(b"\0" * 600_000)
    assert service.prune(days=7) == [raters[1].session]
    big = Path(sessions.root / "trained-on" / raters[0].session / "votes.jsonl")
    big.write_bytes(b"\0" * 1_100_000)
    with pytest.raises(Refused, match="too much space"):
        joined(service)
    assert sessions.names() == [raters[0].session], "the room stays"


def test_sessions_of_an_address_make_way_for_its_own(room, come_from):
    service = room(sessions=9, sessions_by_address=2)
    come_from("10.0.0.2")
    other, _ = joined(service)
    come_from("10.0.0.1")
    first, second = joined(service)[0], joined(service)[0]
    service._rater_states.get(second).seen -= rater_states.IDLE_SECONDS  # idle ones go first
    third = joined(service)[0]
    assert [*map(service.has_joined, (other, first, second, third))] == [True, True, False, True]


def test_runs_and_sessions_in_use_are_not_deleted_for_room(sessions, monkeypatch):
    waiting = []
    service = VotingService(
        sessions, Stored(), limits=Limits(sessions=2), configurations=lambda: waiting
    )
    trained, idle = joined(service)[0], joined(service)[0]
    folder = sessions.root / "trained-on" / trained.session
    waiting.append({"preferences": str(folder / "votes.jsonl")})
    monkeypatch.setattr(rater_states, "IDLE_SECONDS", -1)
    monkeypatch.setattr(service, "_pairs", Unanswering())
    with pytest.raises(Refused, match="busy"):
        joined(service)
    assert service.has_joined(idle), "what cannot be made needs no room"
    monkeypatch.setattr(service, "_pairs", Stored())
    joined(service)
    assert service.has_joined(trained) and not service.has_joined(idle)


def test_a_vote_that_comes_while_its_session_makes_way_is_kept_or_refused(sessions, monkeypatch):
    service = VotingService(sessions, Stored(), limits=Limits(sessions=1))
    rater, pair = joined(service)
    session = sessions.open(rater.session)
    monkeypatch.setattr(rater_states, "IDLE_SECONDS", -1)
    tally = session.tally

    def voted_since():
        counted = tally()
        session.vote(rater.token, pair, "left")
        return counted

    monkeypatch.setattr(session, "tally", voted_since)
    with pytest.raises(Refused, match="no room"):
        joined(service)
    assert len(sessions.open(rater.session).votes()) == 1
