"""The files that a public server deletes and those that it keeps."""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace

import pytest

from align_core.config.run_config import resolve
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground.handlers.housekeeping import Housekeeping
from playground.limits import Limits
from playground.people.run_queue import RunQueue
from playground.people.visitors import Visitors
from playground.voting.rater_states import Rater
from playground.voting.room import VotingService
from tests.playground.voting.vote_server import Stored

DAY = 86_400


@pytest.fixture
def client(tmp_path, fake_assets):
    return Client(tmp_path / "runs")


def stored(client, number, days, megabytes=0.0, **settings):
    """A run that ended `days` ago; returns its name."""
    name = f"2026-01-02-{number:06d}-ppo-reviews"
    config = resolve("ppo", "reviews").model_copy(update=settings)
    run = RunDirectory.create(client.root / name, config)
    run.append({"kind": "status", "step": 1, "seconds": 1.0, "status": "finished", "message": ""})
    run.close()
    (run.path / "model").mkdir()
    (run.path / "model" / "weights").write_bytes(b"\0" * int(megabytes * 1e6))
    os.utime(run.events_path, (time.time() - days * DAY,) * 2)
    return name


def keeper(client, sessions, **limits):
    limits = Limits(**limits)
    queue = RunQueue(client, Visitors(client), limits=limits)
    return Housekeeping(client, queue, VotingService(sessions, Stored(), limits=limits), limits)


def test_old_runs_are_deleted(client, sessions):
    old, new = stored(client, 1, days=9), stored(client, 2, days=6)
    assert keeper(client, sessions, run_days=7).prune() == [old]
    assert client.runs() == [new]


def test_the_disk_stays_within_its_limit(client, sessions):
    names = [stored(client, number, days=9 - number, megabytes=1) for number in range(5)]
    assert keeper(client, sessions, megabytes=3).prune() == names[:3], "each is a little over 1 MB"
    assert client.runs() == names[:2:-1]


def test_without_limits_nothing_is_deleted(client, sessions):
    stored(client, 1, days=1000, megabytes=1)
    assert keeper(client, sessions).prune() == []


def test_runs_and_sessions_in_use_are_kept(client, sessions, monkeypatch):
    live, watched, model, queued, old = (stored(client, number, days=99) for number in range(5))
    first = stored(client, 6, days=99, model=str(client.root / model))
    monkeypatch.setattr(client, "live", lambda: [live, first])
    client.events(watched)
    housekeeping = keeper(client, sessions, run_days=7)
    waiting = SimpleNamespace(options={"reward_model": str(client.root / queued)})
    monkeypatch.setattr(housekeeping._queue, "_entries", [waiting])
    assert housekeeping.prune() == [old]
    monkeypatch.setattr("playground.handlers.housekeeping.WATCHED_SECONDS", 0.0)
    assert housekeeping.prune() == [watched]


def test_an_interrupted_deletion_is_completed(client, sessions):
    hidden = client.root / ".deleted-2026-01-02-000009-ppo-reviews"
    (hidden / "model").mkdir(parents=True)
    keeper(client, sessions, run_days=7).prune()
    assert not hidden.exists()


def test_votes_are_deleted_and_the_open_room_is_not(client, sessions, monkeypatch):
    housekeeping = keeper(client, sessions, vote_days=7)
    room = housekeeping._voting
    joined = [room.join(Rater("", ""), "reviews") for _ in range(3)]
    raters = [Rater(ballot["session"], ballot["token"]) for ballot in joined]
    room.open_room(raters[0])
    then = time.time() - 8 * DAY
    monkeypatch.setattr("playground.voting.rater_states.IDLE_SECONDS", -1.0)
    for rater in raters[:2]:
        for file in sessions.root.glob(f"{rater.session}.db*"):
            os.utime(file, (then, then))
    assert housekeeping.prune() == [raters[1].session]
    assert [room.has_joined(rater) for rater in raters] == [True, False, True]


def test_the_server_prunes_at_its_start(client, sessions, monkeypatch):
    stored(client, 1, days=9)
    housekeeping, pruned = keeper(client, sessions, run_days=7), threading.Event()
    prune = housekeeping.prune

    def noticed():
        names = prune()
        pruned.set()
        return names

    monkeypatch.setattr(housekeeping, "prune", noticed)
    housekeeping.start()
    assert pruned.wait(60) and not client.runs()
    housekeeping.close()
