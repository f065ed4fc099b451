"""Owners of runs and presenters, without a browser or a worker process."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from align_core.config.errors import ConfigError
from align_core.config.run_config import resolve
from align_core.inference.client import Unanswered
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground.people.access import VisibleModels, VisibleRuns
from playground.people.visitors import Visitors

ANN, BOB = "a" * 64, "b" * 64  # tokens
KEY = "correct horse battery"
OLD, HERS = "2026-01-02-030405-dpo-reviews", "2026-01-02-030406-ppo-reviews"


@pytest.fixture
def client(tmp_path, fake_assets, monkeypatch):
    """A client whose runs have a folder but no process."""
    client = Client(tmp_path / "runs")

    def start(method, task):
        RunDirectory.create(client.root / HERS, resolve(method, task))
        return HERS

    monkeypatch.setattr(client, "start", start)
    RunDirectory.create(client.root / OLD, resolve("dpo", "reviews"))
    return client


@pytest.fixture
def visitors(client):
    return Visitors(client, KEY)


def test_a_run_belongs_to_its_visitor_and_an_older_one_to_everyone(client, visitors):
    ann, bob = visitors.from_token(ANN), visitors.from_token(BOB)
    visitors.start(ann, {"method": "ppo", "task": "reviews"})
    for later in (visitors, Visitors(client)):  # also after a restart
        assert later.runs(ann) == [HERS, OLD]
        assert later.runs(bob) == later.runs(None) == [OLD]
        assert later.may_control(ann, HERS) and not later.may_control(bob, HERS)
        assert later.may_control(bob, OLD) and not later.owns(bob, OLD)
    kept = (client.root / HERS / "owner.json").read_text()
    assert ANN not in kept and ann in kept


def test_only_the_owner_shares_a_run_and_then_everyone_controls_it(client, visitors):
    ann, bob = visitors.from_token(ANN), visitors.from_token(BOB)
    visitors.start(ann, {"method": "ppo", "task": "reviews"})
    for visitor, run in ((bob, HERS), (bob, OLD), (ann, "../x"), (None, HERS)):
        visitors.share(visitor, run, True)
        assert visitors.runs(bob) == [OLD]
    visitors.share(ann, HERS, True)
    assert Visitors(client).runs(bob) == [HERS, OLD]
    assert visitors.may_control(bob, HERS) and visitors.may_control(None, HERS)
    assert (visitors.shared(ann, HERS), visitors.shared(bob, HERS)) == (True, None)
    visitors.share(bob, HERS, False)
    assert visitors.runs(bob) == [HERS, OLD], "bob cannot share it"
    visitors.share(ann, HERS, False)
    assert visitors.runs(bob) == [OLD] and not visitors.may_control(bob, HERS)


def test_a_run_by_a_program_without_a_token_belongs_to_nobody_in_public(client, visitors):
    bob, presenter = visitors.from_token(BOB), visitors.from_token(ANN)
    visitors.start(None, {"method": "ppo", "task": "reviews"})
    assert visitors.owns(None, HERS) and not visitors.may_control(bob, HERS)
    public = Visitors(client, KEY, public=True)
    public.presenters.sign_in(presenter, KEY, "here")
    assert not public.owns(None, HERS)
    allowed = [public.may_control(visitor, HERS) for visitor in (None, bob, presenter)]
    assert allowed == [False, False, True]


def test_a_tab_without_cookies_is_identified_by_its_header(visitors):
    ann, bob = visitors.from_token(ANN), visitors.from_token(BOB)

    def sender(headers, **cookies):
        return visitors.sender(SimpleNamespace(headers=headers, cookies=cookies))

    assert sender({}, playground_visitor=ANN) == sender({"x-visitor": ANN}) == ann
    assert sender({"x-visitor": BOB}, playground_visitor=ANN) == bob
    assert sender({}) is sender({"x-visitor": "guessed"}) is None


@pytest.mark.parametrize("token", [None, "", 7, "A" * 64, "a" * 63, "a" * 64 + "\n", "../" * 20])
def test_an_invalid_token_identifies_nobody(visitors, token):
    assert visitors.from_token(token) is None


def test_a_hash_does_not_work_as_a_token(visitors):
    ann = visitors.from_token(ANN)
    assert visitors.from_token(ann) not in (ann, None)


def test_a_run_with_a_corrupt_owner_file_belongs_to_nobody(client, visitors):
    (client.root / OLD / "owner.json").write_text('{"visitor": ')
    assert visitors.runs(visitors.from_token(BOB)) == []


def test_the_key_makes_a_presenter_who_sees_and_controls_all(visitors):
    ann, bob = visitors.from_token(ANN), visitors.from_token(BOB)
    visitors.start(ann, {"method": "ppo", "task": "reviews"})
    assert not visitors.presenters.sign_in(bob, "correct horse", "here")
    assert visitors.presenters.sign_in(bob, KEY, "here")
    assert visitors.runs(bob) == [HERS, OLD] and visitors.may_control(bob, HERS)
    assert ann not in visitors.presenters


@pytest.mark.parametrize(
    "key, public, address, may",
    [
        (None, False, "127.0.0.1", True),
        (None, False, "::1", True),
        (None, False, "10.0.0.9", False),
        (None, True, "127.0.0.1", False),
        (KEY, False, "127.0.0.1", False),
    ],
)
def test_the_visitors_who_may_open_the_room(client, key, public, address, may):
    visitors = Visitors(client, key, public)
    ann = visitors.from_token(ANN)
    assert visitors.may_open_room(ann, address) is may
    assert visitors.presenters.sign_in(ann, KEY, address) is (key is not None)
    assert visitors.may_open_room(ann, "10.0.0.9") is (key is not None)


class Helper:
    def generate(self, **arguments):
        return [arguments]

    score = head_to_head = generate


def test_models_of_invisible_runs_are_not_queried(client, visitors):
    ann, bob = visitors.from_token(ANN), visitors.from_token(BOB)
    visitors.start(ann, {"method": "ppo", "task": "reviews"})
    hers = VisibleModels(Helper(), visitors, ann)
    his = VisibleModels(Helper(), visitors, bob)
    query = {"models": ["sft-reviews", HERS]}
    assert hers.generate(**query) == hers.head_to_head(**query) == [query]
    for ask in (his.generate, his.head_to_head):
        with pytest.raises(ConfigError, match=f"there is no run '{HERS}' here"):
            ask(**query)
    for field in ("model", "reference"):
        with pytest.raises(ConfigError, match="there is no run"):
            his.score(**{field: HERS})
    assert his.score(model=OLD, models=7) == [{"model": OLD, "models": 7}]
    assert VisibleRuns(client, visitors, bob).runs() == [OLD]


def test_no_visitor_takes_all_places_of_the_helper(visitors):
    ann, bob = visitors.from_token(ANN), visitors.from_token(BOB)
    with (
        visitors.query_slot(ann),
        visitors.query_slot(ann),
        visitors.query_slot(bob),
        pytest.raises(Unanswered, match="still being answered"),
        visitors.query_slot(ann),
    ):
        pass
    with visitors.query_slot(ann):
        pass
