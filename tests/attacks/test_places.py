"""Limits for strangers: places in the queue, in rooms and for questions, and settings of runs."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from align_core.config.errors import ConfigError
from align_core.config.run_config import resolve
from align_core.inference.client import InferenceClient, Unanswered
from align_core.runs import presets
from align_core.runs.client import Client
from playground import text
from playground.handlers.compare import MAX_RUNS, CompareHandlers
from playground.handlers.train import TrainHandlers
from playground.limits import Limits
from playground.people import client_address as module
from playground.people.access import VisibleModels, VisibleRuns
from playground.people.client_address import ClientAddress, client_address
from playground.people.json_requests import Refused
from playground.people.no_place import AlreadyHasRun, QueueFull
from playground.people.run_queue import RunQueue
from playground.people.server_limits import check_server_limits
from playground.people.visitors import Visitors
from playground.settings import Settings
from playground.voting import rater_states, session_places
from playground.voting.rater_places import RaterPlaces
from playground.voting.rater_states import Rater
from playground.voting.room import VotingService
from tests.playground.voting.vote_server import Stored

WORDS = text.load()
PUBLIC = Settings.read({"PLAYGROUND_PUBLIC": "1"}).limits
RUN = {"method": "ppo", "task": "reviews", "steps": 10}


@pytest.fixture
def come_from(monkeypatch):
    """Sets the address from which the next requests come."""

    def come(address):
        module._ADDRESS.set(address)

    yield come
    module._ADDRESS.set("")


@pytest.fixture
def client(tmp_path, fake_assets, monkeypatch):
    """A client that cannot start a run, so that each new one waits."""
    client = Client(tmp_path / "runs")
    monkeypatch.setattr(client, "free", lambda: False)
    monkeypatch.setattr(client, "estimate", lambda **_: 20.0)
    yield client
    client.close()  # before it can start those that wait


def invented(visitors, count):
    return [visitors.from_token(f"{number:064x}") for number in range(count)]


def test_one_address_does_not_fill_the_queue(client, come_from):
    visitors = Visitors(client, "correct horse battery")
    queue = RunQueue(client, visitors, limits=PUBLIC)
    crowd = invented(visitors, 300)
    come_from("10.0.0.1")
    refused = 0
    for person in crowd[:250]:
        try:
            queue.join(person, RUN)
        except QueueFull:
            refused += 1
    assert (queue.length(), refused) == (20, 230)
    come_from("10.0.0.2")
    queue.join(crowd[-1], RUN)
    assert queue.position(crowd[-1]).number == 21
    come_from("10.0.0.1")
    visitors.presenters.sign_in(crowd[-2], "correct horse battery", "10.0.0.1")
    queue.join(crowd[-2], RUN)
    assert queue.position(crowd[-2]).number == 1, "a presenter always gets in"


def test_programs_without_a_token_share_a_place_at_each_address_and_no_other(client, come_from):
    queue = RunQueue(client, Visitors(client, public=True), limits=PUBLIC)
    for address in ("10.0.0.1", "10.0.0.2"):
        come_from(address)
        assert queue.join(None, RUN) is None
        with pytest.raises(AlreadyHasRun):
            queue.join_quick_run(None, "shift", 20.0)
    assert queue.position(None).number == 2
    come_from("10.0.0.3")
    assert queue.position(None) is None
    queue.leave(None)
    come_from("10.0.0.1")
    queue.leave(None)
    assert queue.length() == 1 and queue.position(None) is None


def test_a_live_run_of_a_program_is_known_by_its_address(client, come_from, monkeypatch):
    visitors = Visitors(client, public=True)
    queue = RunQueue(client, visitors, limits=PUBLIC)
    run = "2026-01-02-030405-ppo-reviews"
    monkeypatch.setattr(client, "free", lambda: True)
    monkeypatch.setattr(visitors, "start", lambda *_: run)
    monkeypatch.setattr(client, "send", lambda *_, **__: True)
    come_from("10.0.0.1")
    assert queue.join(None, RUN) == run
    monkeypatch.setattr(client, "free", lambda: False)
    monkeypatch.setattr(client, "live", lambda: [run])
    monkeypatch.setattr(visitors, "owns", lambda *_: False)
    with pytest.raises(AlreadyHasRun):
        queue.join(None, RUN)
    come_from("10.0.0.2")
    assert queue.join(None, RUN) is None


def test_one_address_does_not_take_all_places_of_questions(client, come_from):
    visitors = Visitors(client, limits=PUBLIC)
    with ExitStack() as held:
        come_from("10.0.0.1")
        for person in invented(visitors, 4):
            held.enter_context(visitors.query_slot(person))
        with pytest.raises(Unanswered), visitors.query_slot("another cookie"):
            pass
        come_from("10.0.0.2")
        with visitors.query_slot("somebody else"):
            pass
    assert not visitors._queries and not visitors._queries_from
    come_from("10.0.0.1")
    with visitors.query_slot("another cookie"):
        pass


def test_a_request_with_many_names_costs_few_lookups(client, monkeypatch):
    asked = []
    monkeypatch.setattr(client, "has", lambda run: asked.append(run) or False)
    visitors = Visitors(client)
    runs = VisibleRuns(client, visitors, "somebody")
    names = [f"2026-01-02-{number:06d}-ppo-reviews" for number in range(10_000)]
    compare = CompareHandlers(runs, None, WORDS, {})
    assert compare.compare([{"run": name} for name in names])["runs"] == []
    assert len(asked) <= MAX_RUNS
    helper = InferenceClient(client)
    with pytest.raises(ConfigError, match="one to four models"):
        VisibleModels(helper, visitors, "somebody").generate(
            task="reviews", models=names, prompt="The", n=1, temperature=1.0, seed=0
        )
    assert len(asked) <= 20


def test_a_full_room_removes_idle_raters_for_a_new_one(sessions, come_from, monkeypatch):
    room = VotingService(sessions, Stored(), seed=0, limits=Limits(raters=6, raters_by_address=4))
    owner = room.join(Rater("", ""), "reviews")
    host = Rater(owner["session"], owner["token"])
    room.open_room(host)
    come_from("10.0.0.1")
    phones = [room.join(Rater("", "")) for _ in range(4)]
    with pytest.raises(Refused, match="from this address"):
        room.join(Rater("", ""))
    voter = Rater(host.session, phones[0]["token"])
    room.cast(voter, phones[0]["pair"]["id"], "left")
    come_from("10.0.0.2")
    room.join(Rater("", ""))
    with pytest.raises(Refused, match="6 raters have joined"):
        room.join(Rater("", ""))
    monkeypatch.setattr(rater_states, "IDLE_SECONDS", -1)  # all have been idle for a long time
    come_from("10.0.0.1")  # an address whose places are all taken, too
    come = room.join(Rater("", ""))
    assert room.ballot(Rater(come["session"], come["token"]))["open"]
    assert room.has_joined(voter), "a rater with a vote is not removed"
    assert room.has_joined(host), "the creator of the session is not removed, either"
    removed = Rater(host.session, phones[1]["token"])
    with pytest.raises(Refused, match="join first"):
        room.cast(removed, phones[1]["pair"]["id"], "left")


def test_a_rater_who_could_not_be_stored_takes_no_place():
    stored = iter([False, True])

    def join():
        if not next(stored):
            raise OSError("the disk is full")
        return "token"

    session = SimpleNamespace(name="one", rater_count=lambda: 0, join=join)
    places = RaterPlaces(Limits(raters=1))
    with pytest.raises(OSError):
        places.join(session, set)
    assert places.join(session, set) == "token"


def test_nothing_of_a_removed_session_is_kept(sessions):
    room = VotingService(sessions, Stored(), seed=0, limits=Limits(sessions=1))
    first, second = (room.join(Rater("", ""), "reviews")["session"] for _ in range(2))
    assert first != second and {rater.session for rater in room._rater_states._states} == {second}


def test_sessions_with_a_vote_are_removed_if_votes_are_pruned(sessions, monkeypatch):
    limits = Limits(sessions=3, vote_days=7)
    room = VotingService(sessions, Stored(), seed=0, limits=limits)

    def voted():
        ballot = room.join(Rater("", ""), "reviews")
        rater = Rater(ballot["session"], ballot["token"])
        room.cast(rater, ballot["pair"]["id"], "left")
        return rater

    raters = [voted() for _ in range(3)]
    with pytest.raises(Refused, match="no room for more"):
        voted()
    monkeypatch.setattr(session_places, "UNUSED_DAYS", -1)  # nobody has voted for a long time
    with pytest.raises(Refused, match="no room for more"):
        voted()
    monkeypatch.setattr(rater_states, "IDLE_SECONDS", -1)  # and the raters are gone
    room.open_room(raters[0])
    voted()
    assert room.has_joined(raters[0]), "the room stays"
    assert sum(room.has_joined(rater) for rater in raters) == 2


def test_handlers_get_the_address_of_a_request():
    def endpoint(request):
        return JSONResponse(client_address())

    middleware = [Middleware(ClientAddress, proxies=None)]
    app = Starlette(routes=[Route("/", endpoint)], middleware=middleware)
    answers = {
        TestClient(app).get("/", headers={"X-Forwarded-For": f"1.1.1.1, 9.9.9.{n}"}).json()
        for n in range(3)
    }
    assert answers == {"9.9.9.0", "9.9.9.1", "9.9.9.2"}
    addresses = []
    thread = threading.Thread(target=lambda: addresses.append(client_address()))
    thread.start(), thread.join()
    assert addresses == [""]


@pytest.mark.parametrize(
    "setting, value, line",
    [
        ("batch_size", 65_536, "at most 256 on this server"),
        ("steps", 1_000_000, "at most 2000 on this server"),
        ("preference_pairs", 1_000_000, "at most 16000 on this server"),
        ("lora_r", 1024, "at most 256 on this server"),
        ("eval_every", 1, "at least 2 for 60 steps on this server"),
    ],
)
def test_settings_too_large_for_a_public_server_are_refused(client, setting, value, line):
    method = "reward" if setting == "preference_pairs" else "ppo"
    options = {"method": method, "task": "reviews", setting: value}
    if setting == "steps":
        options["eval_every"] = 100_000
    check_server_limits(resolve(**options), Limits())
    with pytest.raises(ConfigError) as error:
        check_server_limits(resolve(**options), PUBLIC)
    (message,) = error.value.lines
    assert message.text.endswith(line)
    queue = RunQueue(client, Visitors(client), limits=PUBLIC)
    train = TrainHandlers(client, WORDS, queue)
    defaults = train.restore({**resolve(method, "reviews").model_dump()})
    values = {name: field["value"] for name, field in defaults.items() if "value" in field}
    values |= {"task": "reviews", "method": method, "pace": 0.0, setting: value}
    values["reward_model"], values["pair_source"] = "proxy", "reference"
    if setting == "steps":
        values["eval_every"] = 100_000
    ((field, shown),) = train.start(values, "somebody")["errors"]
    assert field == setting and line in shown


def test_every_preset_and_every_default_may_run_in_public():
    for preset in map(presets.load, presets.names()):
        check_server_limits(preset.config, PUBLIC)
    for method in ("sft", "reward", "ppo", "dpo"):
        for task in ("reviews", "capitals"):
            check_server_limits(resolve(method, task), PUBLIC)
