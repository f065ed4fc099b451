"""The HTTP routes of voting: the requests that a browser may send, and refusals."""

from __future__ import annotations

import hashlib
import json
import re
from functools import partial

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from align_core.config.run_config import resolve
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from align_core.votes import preference_files, statistics
from playground.people.client_address import ClientAddress
from playground.people.no_place import AlreadyHasRun
from playground.people.rate_limit import RateLimit
from playground.people.visitors import COOKIE, Visitors
from playground.settings import Settings
from playground.voting import routes
from playground.voting.room import VotingService
from playground.voting.routes import MAX_BYTES, VoteRoutes
from playground.voting.vote_training import HELD_OUT

HOSTILE = "<img src=x onerror=window.hacked=1>"
PAIRS = [
    {
        **{"prompt": f"Prompt {i}", "first": f" {i} warm", "second": f" {i} cold"},
        **{"first_reward": 1.0, "second_reward": -1.0},
    }
    for i in range(6)
]
KEY = "主讲人 & more"
PRESENTER, OTHER = "a" * 64, "b" * 64  # tokens of two browsers
RUN = "2026-01-02-030405-dpo-reviews"


class Stored:
    """Replaces `playground.voting.pairs.Pairs`, and loads no model."""

    def of(self, task, model):
        return PAIRS

    def score(self, session, reward_model):
        pairs = [
            {**pair, "first_score": 0.0, "second_score": pair["id"]} for pair in session.pairs()
        ]
        session.set_scores(pairs, reward_model)


class Trained:
    """Replaces `playground.voting.vote_training.VoteTraining`."""

    def train(self, session, way, simulated, visitor, room):
        if simulated:
            raise AlreadyHasRun
        return f"{way} on {session.name}"

    def report(self, session):
        return {"runs": [session.name]}


class Phone:
    """One browser: its cookie, and the session and token that it has received."""

    def __init__(self, client: TestClient, cookie: str = OTHER, **own: str) -> None:
        self.client, self.own = client, own
        self.browser = {"Cookie": f"{COOKIE}={cookie}"}
        self.headers: dict[str, str] = {}

    def ask(self, path, content=None, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content or {}).encode()
        headers = self.browser | self.headers | headers
        answer = self.client.post(f"/vote/{path}", content=body, headers=headers)
        if answer.status_code == 200 and "token" in answer.json():
            joined = answer.json()
            self.headers = {"X-Session": joined["session"], "X-Rater": joined["token"]}
        return answer

    def join(self):
        return self.ask("join", self.own).json()

    def cast(self, pair, choice="left"):
        return self.ask("cast", {"pair": pair, "choice": choice})

    def tally(self):
        return self.ask("tally")

    def room(self, action):
        return self.ask("room", {"action": action})


def serve(sessions, key=KEY, environment=(), **chances):
    """A client of a newly started server on which PRESENTER has entered the key."""
    visitors = Visitors(Client(sessions.root / "runs"), key)
    visitors.presenters.sign_in(visitors.from_token(PRESENTER), key, "10.0.0.1")
    voting = VotingService(sessions, Stored(), **chances)
    settings = Settings.read(dict(environment))
    routes = VoteRoutes(voting, Trained(), visitors, settings)
    address = Middleware(ClientAddress, proxies=settings.proxies)
    return TestClient(Starlette(routes=routes.routes(), middleware=[address]))


@pytest.fixture
def client(sessions, monkeypatch):
    monkeypatch.setattr(routes, "RATER_LIMIT", (1000.0, 1000))
    return serve(sessions, seed=0)


@pytest.fixture
def presenter(client):
    """A presenter who has created a session and opened it as the room."""
    presenter = Phone(client, PRESENTER, task="reviews")
    presenter.join()
    assert presenter.room("open").json()["open"]
    return presenter


@pytest.fixture
def phone(presenter):
    return Phone(presenter.client)


def test_a_phone_rates_every_pair_once(phone, presenter, sessions):
    ballot, seen = phone.join(), []
    while ballot["pair"]:
        assert set(ballot["pair"]) == {"id", "prompt", "left", "right"}  # no reward, no score
        seen.append(ballot["pair"]["prompt"])
        ballot = phone.cast(ballot["pair"]["id"], ("left", "right", "tie", "bad")[len(seen) % 4])
        ballot = ballot.json()
    assert sorted(seen) == [pair["prompt"] for pair in PAIRS]
    assert ballot == {"open": True, "rated": 6, "undo": True, "pair": None}
    votes = sessions.open(presenter.headers["X-Session"]).votes()
    tally = presenter.tally().json()
    assert len(votes) == tally["votes"] == 6
    to_train, held_out = statistics.held_out(votes, HELD_OUT)
    for name, part in (("to_train", to_train), ("held_out", held_out)):
        assert tally[name] == len(preference_files.preferences(part))
    assert tally["to_train"] + tally["held_out"] == 3 and tally["ties"] + tally["both_bad"] == 3


def test_undo_restores_the_pair_and_skip_passes_it(phone, presenter):
    first = phone.join()["pair"]
    second = phone.cast(first["id"]).json()["pair"]
    assert second["id"] != first["id"]
    ballot = phone.ask("undo").json()
    assert ballot == {"open": True, "rated": 0, "undo": False, "pair": first}
    assert presenter.tally().json()["votes"] == 0
    assert phone.ask("undo").status_code == 409
    seen = {first["id"]}
    for _ in PAIRS[1:]:
        ballot = phone.ask("skip", {"pair": ballot["pair"]["id"]}).json()
        seen.add(ballot["pair"]["id"])
    assert len(seen) == len(PAIRS) and ballot["rated"] == 0
    assert phone.ask("skip", {"pair": ballot["pair"]["id"]}).json()[
        "pair"
    ]  # a skipped pair is shown again


def test_a_reload_keeps_the_rater_and_their_pair(phone):
    before = phone.join()
    assert phone.join() == before
    assert phone.ask("pair").json()["pair"] == before["pair"]


@pytest.mark.parametrize(
    "path, content, status",
    [
        ("cast", b"{", 422),
        ("cast", b"", 422),
        ("cast", b"[1]", 422),
        ("cast", {"pair": 1}, 422),
        ("cast", {"pair": 1, "choice": "first"}, 422),
        ("cast", {"pair": "1", "choice": "left"}, 422),
        ("cast", {"pair": True, "choice": "left"}, 422),
        ("cast", {"pair": 2**63, "choice": "left"}, 422),
        ("cast", {"pair": 1, "choice": "left", "rater": "another"}, 422),
        ("cast", {"pair": 1, "choice": HOSTILE}, 422),
        ("cast", {"pair": 4_000, "choice": "left"}, 409),
        ("skip", {"pair": 4_000}, 409),
        ("undo", {"pair": 1}, 422),
        ("undo", {}, 409),
        ("cast", b'{"pair": 1, "choice": "left"' + b" " * MAX_BYTES + b"}", 413),
        ("join", {"task": "../../etc"}, 422),
        ("room", {"action": "clear"}, 422),
        ("delete", {}, 403),
        ("delete", {"session": "another"}, 422),
        ("room", {"action": "close"}, 403),
    ],
)
def test_invalid_requests_are_refused_and_change_nothing(phone, presenter, path, content, status):
    before = phone.join()
    answer = phone.ask(path, content)
    assert answer.status_code == status
    assert set(answer.json()) == {"why", "line"}
    assert "\n" not in answer.json()["line"] and HOSTILE not in answer.text
    assert phone.join() == before
    assert presenter.tally().json()["votes"] == 0


def test_a_repeated_or_late_vote_is_refused(phone, presenter):
    first = phone.join()["pair"]["id"]
    second = phone.cast(first).json()["pair"]["id"]
    for pair in (first, (set(range(1, 7)) - {first, second}).pop()):
        assert phone.cast(pair, "right").status_code == 409
    tally = presenter.tally().json()
    assert tally["votes"] == 1
    assert phone.ask("pair").json()["pair"]["id"] == second


@pytest.mark.parametrize("token", ["", "guessed", "x" * 5000, "' OR 1=1 --", "%00"])
def test_only_issued_tokens_can_vote(phone, presenter, token):
    phone.join()
    phone.headers["X-Rater"] = token
    assert phone.cast(1).status_code == 401
    assert phone.ask("tally").status_code == 403
    phone.headers["X-Session"] = "../../secret"
    assert phone.ask("pair").status_code == 401
    assert presenter.tally().json()["votes"] == 0


def test_a_token_of_one_session_opens_no_other(client, presenter):
    other = Phone(client, task="capitals")
    other.join()
    other.headers["X-Session"] = presenter.headers["X-Session"]
    assert other.ask("pair").status_code == 401


def test_only_the_presenter_opens_closes_and_deletes(phone, presenter, sessions):
    pair = phone.join()["pair"]["id"]
    assert phone.room("close").status_code == 403
    assert not phone.room("look").json()["hosts"]
    phone.cast(pair)

    assert not presenter.room("close").json()["open"]
    ballot = phone.ask("pair").json()
    assert not ballot["open"] and ballot["pair"] is None
    for path, content in (("cast", {"pair": 2, "choice": "tie"}), ("undo", {})):
        assert phone.ask(path, content).status_code == 403
    assert presenter.tally().json()["votes"] == 1

    presenter.room("open")
    before = presenter.headers["X-Session"]
    assert presenter.ask("delete").json() == {}
    assert list(sessions.root.glob(f"{before}*")) == []
    for browser in (phone, presenter):
        assert browser.ask("pair").status_code == 401  # their token was deleted, too
    assert phone.ask("join").json()["why"] == "closed"

    assert presenter.join()["rated"] == 0
    assert presenter.headers["X-Session"] != before
    assert not presenter.room("look").json()["open"]
    assert presenter.tally().json()["votes"] == 0
    presenter.room("open")
    assert phone.join()["rated"] == 0


def test_the_tally_names_the_reward_model_that_selects_pairs(client, sessions, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Stored, "score", lambda *_: None)
        own = Phone(client, task="reviews")
        session = sessions.open(own.join()["session"])
    assert own.tally().json()["asks"] == "none"
    for reward_model, asks in (("reward-reviews", "embedded"), (RUN, "votes")):
        Stored().score(session, reward_model)
        assert own.tally().json()["asks"] == asks


def test_a_session_is_deleted_by_its_creator_only(client, sessions):
    own, other = Phone(client, task="reviews"), Phone(client, task="reviews")
    own.join(), other.join()
    assert own.ask("delete").status_code == 200
    assert sessions.names() == [other.headers["X-Session"]]
    assert own.ask("delete").status_code == 401
    assert other.ask("pair").json()["pair"]


def test_the_creator_trains_on_a_private_session_and_the_presenter_on_a_room(
    phone, presenter, client
):
    own = Phone(client, task="capitals")
    name = own.join()["session"]
    request = {"way": "dpo", "simulated": 0.0}
    assert own.ask("train", request).json() == {"run": f"dpo on {name}"}
    assert own.ask("report").json() == {"runs": [name]}
    assert own.ask("train", request | {"simulated": 0.5}).json()["why"] == "one_each"
    for wrong in ({"way": "sft"}, {"simulated": 1.0}, {"simulated": "much"}, {"steps": 9}):
        assert own.ask("train", request | wrong).status_code == 422

    phone.join()
    for path, content in (("train", request), ("report", {}), ("tally", {})):
        assert phone.ask(path, content).status_code == 403
    phone.browser = presenter.browser
    for path, content in (("train", request), ("report", {}), ("tally", {})):
        assert phone.ask(path, content).status_code == 200


def test_the_owner_of_a_session_can_download_its_votes(phone, presenter, client, tmp_path):
    own = Phone(client, task="capitals")
    first = own.join()["pair"]
    assert own.ask("export").json()["why"] == "no_votes"
    second = own.cast(first["id"], "right").json()["pair"]
    own.cast(second["id"], "bad")
    file = tmp_path / "votes.jsonl"
    file.write_bytes(own.ask("export").content)
    (row,) = preference_files.read(file)  # as `align-core preferences export` writes it
    assert (row["prompt"], row["chosen"], row["rejected"]) == (
        *(first["prompt"], first["right"], first["left"]),
    )
    phone.cast(phone.join()["pair"]["id"])
    assert phone.ask("export").status_code == 403
    assert presenter.ask("export").text.count("\n") == 1


def test_simulated_raters_can_vote_instead_of_an_audience(phone, presenter, monkeypatch):
    monkeypatch.setattr(routes, "SIMULATED_VOTES", 30)
    own = Phone(phone.client, task="capitals")
    own.join()
    assert own.ask("simulate", {"crowd": "leftish"}).status_code == 200
    assert own.tally().json()["votes"] == 30
    assert own.ask("simulate", {"crowd": "leftish"}).status_code == 200
    assert own.tally().json()["votes"] == 60
    assert own.ask("simulate", {"crowd": "nobody"}).status_code == 422
    phone.join()
    assert phone.ask("simulate", {"crowd": "task"}).status_code == 403
    assert presenter.tally().json()["votes"] == 0


def test_texts_of_invisible_runs_cannot_be_rated(client, sessions):
    RunDirectory.create(sessions.root / "runs" / RUN, resolve("dpo", "reviews"))
    hers = Visitors(Client(sessions.root / "runs")).from_token(PRESENTER)
    owner = {"visitor": hers, "shared": False}
    (sessions.root / "runs" / RUN / "owner.json").write_text(json.dumps(owner))
    request = {"task": "reviews", "model": RUN}
    refused = Phone(client).ask("join", request)
    assert (refused.status_code, refused.json()["line"]) == (422, f"'{RUN}' is no run here")
    assert Phone(client, PRESENTER).ask("join", request).status_code == 200


def test_a_run_on_votes_belongs_to_the_visitor_with_the_cookie(client, monkeypatch):
    seen = []
    monkeypatch.setattr(Trained, "train", lambda self, *arguments: seen.append(arguments[-2:]))
    own = Phone(client, task="capitals")
    own.join()
    assert own.ask("train", {"way": "dpo", "simulated": 0.0}).json() == {"run": None}
    assert seen == [(hashlib.sha256(OTHER.encode()).hexdigest(), False)]


def test_a_run_on_votes_knows_whether_its_session_was_opened_to_the_room(presenter, monkeypatch):
    seen = []
    monkeypatch.setattr(Trained, "train", lambda self, *arguments: seen.append(arguments[-1]))
    for room in ("open", "close"):
        presenter.room(room)
        assert presenter.ask("train", {"way": "dpo", "simulated": 0.0}).status_code == 200
    assert seen == [True, True]


def test_without_a_room_a_phone_waits_until_one_opens(client):
    phone = Phone(client)
    answer = phone.ask("join")
    assert (answer.status_code, answer.json()["why"]) == (403, "closed")
    presenter = Phone(client, PRESENTER, task="reviews")
    presenter.join()
    presenter.room("open")
    assert phone.join()["pair"]


def test_phones_follow_the_presenter_to_another_session(phone, presenter):
    pair = phone.join()["pair"]["id"]
    other = Phone(presenter.client, PRESENTER, task="capitals")
    other.join()
    other.room("open")
    assert phone.cast(pair).status_code == 403
    assert phone.join()["pair"]
    assert phone.headers["X-Session"] == other.headers["X-Session"]
    assert not presenter.room("look").json()["open"]


def test_without_a_key_a_local_visitor_may_open_the_room(sessions):
    client = serve(sessions, key=None)
    phone = Phone(client, task="reviews")
    phone.join()
    assert phone.room("open").status_code == 403  # TestClient comes from "testclient"
    client._transport.client = ("127.0.0.1", 1)
    assert phone.room("open").json()["open"]


def test_creating_sessions_is_limited_by_address(sessions, monkeypatch):
    monkeypatch.setattr(routes, "SESSION_LIMIT", (1e-6, 2))
    client = serve(sessions)
    made_up = {"X-Session": "a", "X-Rater": "b"}
    request = {"task": "reviews"}
    codes = [Phone(client).ask("join", request, **made_up).status_code for _ in range(3)]
    assert codes == [200, 200, 429] and len(sessions.names()) == 2


def test_after_a_restart_the_room_still_belongs_to_the_presenter(phone, presenter, sessions):
    pair = phone.join()["pair"]["id"]
    phone.cast(pair)
    client = serve(sessions)
    for browser in (phone, presenter):
        browser.client = client
    assert phone.ask("pair").json() == {"open": False, "rated": 0, "undo": False, "pair": None}
    for path, content in (("delete", {}), ("tally", {}), ("report", {})):
        assert phone.ask(path, content).status_code == 403
    assert presenter.room("open").json()["open"]
    assert phone.ask("pair").json()["pair"]["id"] != pair  # a rated pair is not shown again
    assert presenter.tally().json()["votes"] == 1


def test_another_site_cannot_act_for_the_presenter(presenter, client):
    """The site can make the presenter's browser send a POST request, but cannot set its headers."""
    assert Phone(client, PRESENTER).room("close").status_code == 401
    assert presenter.room("look").json()["open"]


def test_on_a_space_the_address_is_from_the_proxy(sessions, monkeypatch):
    client = serve(sessions, environment={"SPACE_ID": "who/what"})
    monkeypatch.setattr(client, "headers", {"X-Forwarded-For": "1.1.1.1, 9.9.9.9"})
    seen = []
    monkeypatch.setattr(routes.RateLimit, "wait", lambda self, key: seen.append(key) or 0.0)
    Phone(client).ask("join")
    assert set(seen) == {"9.9.9.9"}  # the first address is the client's own claim


def test_rate_limited_requests_get_a_retry_time(sessions, monkeypatch):
    monkeypatch.setattr(routes, "RateLimit", partial(RateLimit, clock=lambda: 0.0))
    monkeypatch.setattr(routes, "RATER_LIMIT", (1.0, 3))
    monkeypatch.setattr(routes, "JOIN_LIMIT", (0.01, 4))
    client = serve(sessions)
    phone, other = Phone(client, task="reviews"), Phone(client, task="reviews")
    phone.join(), other.join()
    answers = [phone.ask("pair") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["Retry-After"] == "1"
    assert other.ask("pair").status_code == 200  # each rater has a limit of their own
    joins = [Phone(client).ask("join", {"task": "reviews"}).status_code for _ in range(3)]
    assert joins == [200, 200, 429]  # joining is limited by address


def test_the_page_for_phones_is_one_small_file_and_allows_no_other_script(client):
    answer = client.get("/vote")
    assert len(answer.content) < 50_000
    assert not re.search(r"(src|href)=[\"'](?!data:)", answer.text)
    assert "{words}" not in answer.text and "{ballot}" not in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy
    for unsafe in ("innerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert unsafe not in answer.text
