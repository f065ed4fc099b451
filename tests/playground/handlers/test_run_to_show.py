"""The run that a page shows, without a browser or a worker process."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from playground.content.recordings import FIRST
from playground.handlers.run_to_show import RunToShow
from playground.people.visitors import Visitors

KEY = "correct horse battery"
HERS, OTHER, PRESET = "2026-01-02-030405-sft-reviews", "2026-01-02-030406-ppo-reviews", "recorded/x"


@pytest.fixture
def runs(tmp_path):
    """Names of runs, and of those that are live; each is started by `start`."""
    runs = SimpleNamespace(all=[], alive=[], root=tmp_path / "runs")
    runs.runs = lambda: runs.all[::-1]
    runs.live = lambda: runs.alive
    runs.has = lambda run: run in runs.all

    def start(name):
        (runs.root / name).mkdir(parents=True)
        runs.all.append(name)
        runs.alive.append(name)
        return name

    runs.start = start
    return runs


def a_page(runs, visitors):
    return RunToShow(runs, visitors, {FIRST: None, PRESET: None})


def test_a_page_never_changes_to_another_visitors_run_by_itself(runs):
    visitors = Visitors(runs)
    ann, bob = (visitors.from_token(digit * 64) for digit in "ab")
    show = a_page(runs, visitors)
    visitors.start(ann, {"name": HERS})
    assert show(ann) == show(ann, FIRST) == HERS
    assert show(bob) == show(bob, FIRST) == FIRST
    assert show(bob, PRESET, chosen=True) == PRESET
    assert show(bob, HERS, chosen=True) == show(bob, HERS) == HERS, "he asked for it"
    show.remember(bob, HERS)
    runs.alive.clear()
    visitors.start(ann, {"name": OTHER})
    assert show(bob, HERS) == HERS, "its end stays, and the next run is not his"
    runs.alive.clear()
    assert (show(ann), show(bob), show(None)) == (OTHER, FIRST, FIRST), "after a reload"


def in_the_room(visitors, ann):
    visitors.present(ann)


def with_the_key(visitors, ann):
    visitors.presenters.sign_in(ann, KEY, "here")


@pytest.mark.parametrize("key, begin", [(None, in_the_room), (KEY, with_the_key)])
def test_pages_follow_a_talk_but_keep_what_their_visitor_chose(runs, key, begin):
    visitors = Visitors(runs, key)
    ann, bob = (visitors.from_token(digit * 64) for digit in "ab")
    show = a_page(runs, visitors)
    begin(visitors, ann)
    visitors.start(ann, {"name": HERS})
    assert show(bob) == show(bob, FIRST) == HERS
    assert show(bob, PRESET, chosen=True) == PRESET
    runs.alive.clear()
    visitors.start(bob, {"name": OTHER})
    runs.alive[:] = [HERS]
    assert show(bob, OTHER) == show(bob) == OTHER, "his own"


@pytest.mark.parametrize("key, public", [(KEY, False), (None, True)])
def test_nobody_gives_a_talk_without_the_key_where_there_is_one_or_strangers_come(
    runs, key, public
):
    visitors = Visitors(runs, key, public)
    ann, bob = (visitors.from_token(digit * 64) for digit in "ab")
    visitors.present(ann)
    visitors.start(ann, {"name": HERS})
    assert a_page(runs, visitors)(bob) == FIRST
