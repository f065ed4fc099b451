"""The HTTP routes of voting: what the creator of a session and the presenter may do."""

from __future__ import annotations

import hashlib

from align_core.votes import preference_files
from playground.voting import routes
from tests.playground.voting.vote_server import (
    OTHER,
    PRESENTER,
    RUN,
    Phone,
    Stored,
    Trained,
    serve,
)


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


def test_a_voter_gets_something_back_whether_the_room_is_open_or_not(phone, presenter):
    name = presenter.headers["X-Session"]
    taught = {"method": "dpo", "prompt": name, "before": "worse", "after": "better"}
    phone.cast(phone.join()["pair"]["id"])
    assert phone.ask("return").json() == {"agreed": 0, "compared": 0, "taught": taught}
    presenter.room("close")
    assert phone.ask("return").json()["taught"] == taught
    stranger = {"X-Session": name, "X-Rater": "x" * 22}
    assert phone.ask("return", **stranger).status_code == 401


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


def test_without_a_key_a_local_visitor_may_open_the_room(sessions):
    client = serve(sessions, key=None)
    phone = Phone(client, task="reviews")
    phone.join()
    assert phone.room("open").status_code == 403  # TestClient comes from "testclient"
    client._transport.client = ("127.0.0.1", 1)
    assert phone.room("open").json()["open"]


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
