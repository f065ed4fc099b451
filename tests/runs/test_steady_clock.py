"""Nothing is deleted for its age because the system's clock was set."""

from __future__ import annotations

import os
import time

import pytest

from align_core.config.run_config import resolve
from align_core.runs import pruning
from align_core.runs.directory import RunDirectory
from align_core.runs.pruning import stored_runs, to_prune
from align_core.runs.steady_clock import SteadyClock
from align_core.votes import sessions as votes
from tests.own_thread import only_here
from tests.votes.conftest import pairs

WEEK = 7 * 86_400


@pytest.fixture
def clock(monkeypatch):
    """clock(seconds) sets the system's clock by that; runs and votes have a clock of then."""
    steady, real, ahead = SteadyClock(), time.time, [0.0]
    monkeypatch.setattr(time, "time", only_here(lambda: real() + ahead[0], real))
    for module in (pruning, votes):
        monkeypatch.setattr(module, "steady_time", steady)

    def turn(seconds):
        ahead[0] += seconds
        return steady() - real()

    return turn


def test_it_follows_a_clock_that_is_set_back_and_none_that_jumps_ahead(clock):
    assert clock(0) == pytest.approx(0, abs=1)
    assert clock(WEEK) == pytest.approx(0, abs=1)
    assert clock(-WEEK - 60) == pytest.approx(-60, abs=1)
    assert clock(60) == pytest.approx(-60, abs=1), "until the server is started again"


def test_a_jump_of_the_clock_deletes_no_runs_and_no_votes(clock, tmp_path, sessions):
    run = RunDirectory.create(tmp_path / "2026-01-02-030405-ppo-reviews", resolve("ppo", "reviews"))
    run.close()
    sessions.create("talk", "reviews").add_pairs(pairs(1))
    clock(WEEK + 1)
    assert to_prune(stored_runs(tmp_path), days=7) == [] == sessions.older_than(7)
    old = time.time() - 2 * WEEK - 60  # more than a week before the clock was set
    for file in (run.path / "config.json", run.path / "events.jsonl"):
        file.touch()
        os.utime(file, (old, old))
    assert [stored.path for stored in to_prune(stored_runs(tmp_path), days=7)] == [run.path]
