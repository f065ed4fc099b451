"""Limits and addresses of a room; concurrent votes."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from playground.limits import Limits
from playground.people import addresses, rate_limit
from playground.people.json_requests import Refused
from playground.people.rate_limit import RateLimit
from playground.voting.rater_states import Rater
from playground.voting.room import VotingService

VOTES = ("playground/voting", "align_core/votes")
PAIRS = [{"prompt": f"{i}", "first": " warm", "second": " cold"} for i in range(10)]


class Stored:
    def load(self, task, model):
        return PAIRS

    def score(self, session, reward_model):
        pass


def test_a_bucket_allows_a_burst_and_fills_with_time(monkeypatch):
    now = [0.0]
    limit = RateLimit(rate=2.0, burst=3, clock=lambda: now[0])
    assert [limit.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert limit.wait("b") == 0
    now[0] = 0.25  # half a token
    assert limit.wait("a") == 0.25
    now[0] = 0.5
    assert [limit.wait("a"), limit.wait("a")] == [0, 0.5]
    now[0] = 100.0
    assert [limit.wait("a") for _ in range(4)] == [0, 0, 0, 0.5]
    monkeypatch.setattr(rate_limit, "MAX_KEYS", 2)
    for key in "cde":
        limit.wait(key)
    assert len(limit._buckets) == 2
    limit.wait("x" * 60_000)
    assert max(map(len, limit._buckets)) == rate_limit.MAX_KEY_LENGTH


@pytest.mark.parametrize(
    "listens_on, address",
    [
        ("127.0.0.1", None),
        ("localhost", None),
        ("::1", None),
        ("0.0.0.0", "http://10.1.2.3:7860"),
        ("192.168.1.5", "http://192.168.1.5:7860"),
        ("fe80::1", "http://[fe80::1]:7860"),
    ],
)
def test_the_address_of_the_page_for_phones(listens_on, address, monkeypatch):
    monkeypatch.setattr(addresses, "_network_address", lambda: "10.1.2.3")
    assert addresses.for_phones(listens_on, 7860) == address


def test_concurrent_raters_lose_no_vote(sessions):
    room = VotingService(sessions, Stored(), seed=0)
    ballot = room.join(Rater("", ""), "reviews", "sft-reviews")
    owner = Rater(ballot["session"], ballot["token"])
    room.open_room(owner)

    def rate(_):
        ballot = room.join(Rater("", ""))
        rater = Rater(ballot["session"], ballot["token"])
        while ballot["pair"]:
            ballot = room.cast(rater, ballot["pair"]["id"], "left")
        return ballot["rated"]

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(rate, range(24))) == [10] * 24
    votes = room.session(owner).votes()
    assert len(votes) == len({(vote["rater"], vote["pair"]) for vote in votes}) == 240


def test_simultaneous_copies_of_a_vote_count_once(sessions):
    room = VotingService(sessions, Stored(), seed=0)
    ballot = room.join(Rater("", ""), "reviews", "sft-reviews")
    rater = Rater(ballot["session"], ballot["token"])

    def cast(_):
        try:
            room.cast(rater, ballot["pair"]["id"], "left")
        except Refused as error:
            return error.status
        return 200

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(cast, range(8))) == [200] + [409] * 7
    assert room.session(rater).tally()["votes"] == 1


def test_joining_and_creating_sessions_is_limited(sessions):
    room = VotingService(sessions, Stored(), seed=0, limits=Limits(raters=3, sessions=2))
    ballots = [room.join(Rater("", ""), "reviews", "sft-reviews") for _ in range(2)]
    raters = [Rater(ballot["session"], ballot["token"]) for ballot in ballots]
    room.cast(raters[0], ballots[0]["pair"]["id"], "left")
    room.join(Rater("", ""), "capitals", "sft-capitals")  # replaces the session without votes
    with pytest.raises(Refused, match="join first"):
        room.ballot(raters[1])
    room.open_room(raters[0])
    for _ in range(2):
        room.join(Rater("", ""))
    with pytest.raises(Refused, match="no more are accepted"):
        room.join(Rater("", ""))


def test_a_rater_takes_no_memory_for_the_texts_of_pairs(sessions, monkeypatch):
    """Nine votes of 40 kB each; a session of thousands of raters would hold them many times.

    Only what code of votes has allocated counts, not what other threads do meanwhile.
    """
    long = [{"prompt": f"{i}", "first": 20_000 * "a", "second": 20_000 * "b"} for i in range(10)]
    monkeypatch.setattr(Stored, "load", lambda self, task, model: long)
    room = VotingService(sessions, Stored(), seed=0)
    ballot = room.join(Rater("", ""), "reviews")
    rater = Rater(ballot["session"], ballot["token"])
    room.skip(rater, ballot["pair"]["id"])
    tracemalloc.start(16)  # frames of each allocation
    try:
        for _ in range(9):
            ballot = room.cast(rater, room.ballot(rater)["pair"]["id"], "left")
        assert room.ballot(rater) == ballot, "it stays the same"
        taken_back = room.undo(rater)
        assert room.ballot(rater) == taken_back and len(taken_back["pair"]["left"]) == 20_000
        del ballot, taken_back
        of_votes = [tracemalloc.Filter(True, f"*/{part}/*", all_frames=True) for part in VOTES]
        held = tracemalloc.take_snapshot().filter_traces(of_votes).traces
        assert 0 < sum(trace.size for trace in held) < 40_000
    finally:
        tracemalloc.stop()
