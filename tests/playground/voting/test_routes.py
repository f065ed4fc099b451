"""The HTTP routes of voting: the requests that a browser may send, and refusals."""

from __future__ import annotations

import json
import re
from functools import partial

import pytest

from align_core.config.run_config import resolve
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from align_core.votes import preference_files, statistics
from playground.people.rate_limit import RateLimit
from playground.people.visitors import Visitors
from playground.voting import routes
from playground.voting.routes import MAX_BYTES
from playground.voting.vote_training import HELD_OUT
from tests.playground.voting.vote_server import (
    HOSTILE,
    PAIRS,
    PRESENTER,
    RUN,
    Phone,
    serve,
)


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
    # A skipped pair is shown again.
    assert phone.ask("skip", {"pair": ballot["pair"]["id"]}).json()["pair"]


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


def test_texts_of_invisible_runs_cannot_be_rated(client, sessions):
    RunDirectory.create(sessions.root / "runs" / RUN, resolve("dpo", "reviews"))
    hers = Visitors(Client(sessions.root / "runs")).from_token(PRESENTER)
    owner = {"visitor": hers, "shared": False}
    (sessions.root / "runs" / RUN / "owner.json").write_text(json.dumps(owner))
    request = {"task": "reviews", "model": RUN}
    refused = Phone(client).ask("join", request)
    assert (refused.status_code, refused.json()["line"]) == (422, f"there is no run '{RUN}' here")
    assert Phone(client, PRESENTER).ask("join", request).status_code == 200


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


def test_creating_sessions_is_limited_by_address(sessions, monkeypatch):
    monkeypatch.setattr(routes, "SESSION_LIMIT", (1e-6, 2))
    client = serve(sessions)
    made_up = {"X-Session": "a", "X-Rater": "b"}
    request = {"task": "reviews"}
    codes = [Phone(client).ask("join", request, **made_up).status_code for _ in range(3)]
    assert codes == [200, 200, 429] and len(sessions.names()) == 2


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
