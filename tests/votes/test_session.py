"""A session of votes: every acknowledged vote is on the disk, whichever process is killed."""

from __future__ import annotations

import hashlib
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from align_core.votes.session import (
    CHOICES,
    PERSON,
    Ballot,
    InvalidVote,
    left_of,
)
from align_core.votes.sessions import Sessions
from align_core.votes.sqlite_writer import Closed, Writer, connect
from tests.waiting import until

ROOT = Path(__file__).parents[2]


def scored(scores: dict[int, tuple[float, float]]) -> list[dict]:
    return [{"id": i, "first_score": a, "second_score": b} for i, (a, b) in scores.items()]


def test_a_vote_is_stored_in_the_order_of_the_pair_and_with_the_side(session):
    rater = session.join()
    ballot = session.ballot(rater, 0.0, random.Random(0))
    left = left_of(rater, ballot.pair)
    texts = {"first": f"a{ballot.pair - 1}", "second": f"b{ballot.pair - 1}"}
    other = {"first": "second", "second": "first"}[left]
    assert ballot == Ballot(ballot.pair, f"p{ballot.pair - 1}", texts[left], texts[other])
    assert session.vote(rater, ballot.pair, "right") == 1
    (vote,) = session.votes()
    assert (vote["choice"], vote["left"]) == (other, left)
    assert (vote["rater"], vote["kind"], vote["pair"]) == (rater, PERSON, ballot.pair)
    assert (vote["first"], vote["second"]) == (texts["first"], texts["second"])


def test_sides_are_balanced_and_a_reload_shows_the_same():
    """2000 sides; four standard deviations of their number are 4 · √(2000 · ½ · ½)."""
    raters = [f"{number:022d}" for number in range(20)]
    sides = [left_of(rater, pair) for rater in raters for pair in range(100)]
    assert abs(sides.count("first") - 1000) < 4 * (2000 * 0.25) ** 0.5
    assert left_of(raters[0], 1) == left_of(raters[0], 1)
    for rater in raters:  # as in the sessions of earlier versions
        digest = hashlib.sha256(f"{rater} 7".encode()).digest()
        assert left_of(rater, 7) == ("second" if digest[0] % 2 else "first")


def test_one_vote_a_pair_and_rater_until_it_is_taken_back(session):
    rater = session.join()
    first = session.vote(rater, 1, "left")
    assert session.vote(rater, 1, "left") == first, "a phone repeats an unacknowledged vote"
    with pytest.raises(InvalidVote, match="undo that vote first"):
        session.vote(rater, 1, "tie")
    assert session.tally()["votes"] == 1
    assert session.undo(rater, 1)
    assert not session.undo(rater, 1)
    session.vote(rater, 1, "tie")
    assert session.tally() == {
        "votes": 1, "raters": 1, "pairs": 4, "left": 0, "right": 0, "tie": 1, "bad": 0,
    }  # fmt: skip


def test_the_tally_counts_sides_as_they_were_seen(session):
    for pair, choice in enumerate(["left", "left", "right", "bad"], start=1):
        session.vote(session.join(), pair, choice)
    assert session.tally() == {
        "votes": 4, "raters": 4, "pairs": 4, "left": 2, "right": 1, "tie": 0, "bad": 1,
    }  # fmt: skip


@pytest.mark.parametrize("rater", ["", "x" * 22, "\ud800" * 22, "' OR 1=1 --", "../../etc/passwd"])
def test_only_issued_raters_may_vote(session, rater):
    assert not session.has_rater(rater)
    with pytest.raises(InvalidVote, match="this rater does not belong to this session"):
        session.vote(rater, 1, "left")
    assert session.votes() == []


def test_an_invalid_pair_or_choice_is_refused(session):
    rater = session.join()
    for pair in (0, -1, 5, 2**63):
        with pytest.raises(InvalidVote, match="does not belong to this session"):
            session.vote(rater, pair, "left")
    with pytest.raises(InvalidVote, match="'first', expected one of left, right, tie, bad"):
        session.vote(rater, 1, "first")
    assert session.votes() == []


def test_tokens_are_128_random_bits(session):
    tokens = {session.join() for _ in range(50)}
    assert len(tokens) == 50
    assert all(len(token) == 22 for token in tokens)  # ceil(128 / 6)


def test_raters_without_votes_are_removed_except_the_first_and_named_ones(session):
    _first, voter, named, idle = (session.join() for _ in range(4))
    session.vote(voter, 1, "left")
    assert session.rater_count() == 4
    assert session.remove_raters(but={named}) == {idle}
    assert not session.has_rater(idle) and session.rater_count() == 3
    assert session.remove_raters(but=()) == {named}
    assert session.remove_raters(but=()) == set() and session.rater_count() == 2


def test_a_rater_is_shown_each_pair_once(session):
    rater, rng, rated = session.join(), random.Random(0), []
    while ballot := session.ballot(rater, 0.5, rng):
        rated.append(ballot.pair)
        session.vote(rater, ballot.pair, rng.choice(CHOICES))
    assert sorted(rated) == [1, 2, 3, 4]
    session.undo(rater, 3)
    assert session.ballot(rater, 0.5, rng).pair == 3


def test_a_ballot_has_the_pair_of_which_the_reward_model_is_least_sure(session):
    assert session.scored_by() is None
    scores = {1: (2.0, 0.0), 2: (0.1, 0.2), 3: (-1.0, 1.0), 4: (0.0, 9.0)}
    session.set_scores(scored(scores), "reward-reviews")
    assert session.scored_by() == "reward-reviews"
    for seed in range(8):
        assert session.ballot(session.join(), 1.0, random.Random(seed)).pair == 2
    assert session.pairs()[1]["first_score"] == 0.1
    session.set_scores(scored({1: (5.0, 5.0)}), "a-run")  # a newer reward model
    assert session.ballot(session.join(), 1.0, random.Random(0)).pair == 1
    assert session.scored_by() == "a-run"


def test_a_session_of_an_earlier_version_is_read_and_scored(sessions, session):
    session.vote(session.join(), 1, "left")
    sessions.close()
    with closing(connect(sessions.root / "talk.db")) as database:
        database.execute("ALTER TABLE session DROP COLUMN scored_by")
    for _ in range(2):  # the first opening adds the column
        old = sessions.open("talk")
        assert (old.task, old.tally()["votes"]) == ("reviews", 1)
        sessions.close()
    old = sessions.open("talk")
    assert old.scored_by() is None
    old.set_scores(scored({1: (5.0, 5.0)}), "a-run")
    assert old.scored_by() == "a-run"


def test_votes_recorded_together_are_stored_together_or_not_at_all(session):
    rater = session.join("noisy")
    with pytest.raises(InvalidVote):
        session.record([(rater, 1, "first", "first"), (rater, 99, "first", "first")])
    assert session.votes() == []
    assert session.record([(rater, 1, "first", "first"), (rater, 2, "bad", None)]) == [1, 2]
    assert [vote["kind"] for vote in session.votes()] == ["noisy", "noisy"]


def test_added_samples_are_loaded_again(session):
    pair = {
        "model": "sft-reviews", "prompt": "\u0000 '); DROP TABLE votes; -- 🙂", "first": "x",
        "second": "y", "first_ended": True, "second_ended": False, "first_reward": 1.5,
        "second_reward": -0.25, "first_score": None, "second_score": None,
    }  # fmt: skip
    (new,) = session.add_pairs([pair])
    assert session.pairs()[-1] == pair | {"id": new}


def test_many_threads_lose_no_vote(session):
    ids, lock = [], threading.Lock()

    def rate() -> None:
        for _ in range(5):
            rater = session.join()
            vote_ids = [session.vote(rater, pair, "left") for pair in (1, 2, 3, 4)]
            with lock:
                ids.extend(vote_ids)

    threads = [threading.Thread(target=rate) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids) == list(range(1, 201)) == [vote["id"] for vote in session.votes()]


def test_waiting_votes_share_a_commit_and_a_failing_one_fails_alone(tmp_path):
    path = tmp_path / "one.db"
    setup = connect(path)
    setup.execute("CREATE TABLE numbers (n INTEGER UNIQUE)")
    setup.execute("BEGIN IMMEDIATE")  # another writer holds the lock, so jobs queue up
    write, outcomes = Writer(path), {}

    def insert(n: int) -> None:
        def job(db: sqlite3.Connection) -> int:
            return db.execute("INSERT INTO numbers VALUES (?)", (n // 2,)).rowcount

        try:
            outcomes[n] = write(job)
        except sqlite3.IntegrityError:
            outcomes[n] = "refused"

    commit, taken = write._commit, threading.Event()
    write._commit = lambda batch: (taken.set(), commit(batch))
    first, *others = threads = [threading.Thread(target=insert, args=(n,)) for n in range(20)]
    first.start()
    assert taken.wait(60)
    for thread in others:
        thread.start()
    until(lambda: len(write._waiting) == 19)
    setup.execute("ROLLBACK")
    for thread in threads:
        thread.join()
    write.close()
    assert sorted(map(str, outcomes.values())) == ["1"] * 10 + ["refused"] * 10
    assert [row[0] for row in setup.execute("SELECT n FROM numbers ORDER BY n")] == list(range(10))
    with pytest.raises(Closed):
        write(lambda db: None)
    setup.close()


def test_every_commit_waits_for_the_disk(tmp_path):
    connection = connect(tmp_path / "one.db")
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection.close()


def test_a_full_disk_fails_all_waiting_votes_and_stores_none(session):
    rater = session.join()
    session._write(lambda db: db.execute("PRAGMA max_page_count = 1"))  # simulates a full disk
    with pytest.raises(sqlite3.OperationalError, match="full"):
        session.add_pairs([{"prompt": "x" * 100_000, "first": "a", "second": "b"}])
    session._write(lambda db: db.execute("PRAGMA max_page_count = 100000"))
    assert len(session.pairs()) == 4
    assert session.vote(rater, 1, "left") == 1


VOTING = """
import itertools, sys
from align_core.votes.sessions import Sessions

session = Sessions(sys.argv[1]).open("talk")
for _ in itertools.count():
    rater = session.join()
    for pair in (1, 2, 3, 4):
        print("saved", session.vote(rater, pair, "left"), flush=True)
"""


def test_an_acknowledged_vote_survives_kill_9(sessions, session):
    sessions.close()
    lines = []
    for wait in (0, 7, 60):
        child = subprocess.Popen(
            [sys.executable, "-c", VOTING, sessions.root],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        lines += [child.stdout.readline() for _ in range(wait + 1)]
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read()
        lines += rest.splitlines(keepends=True)
        child.wait()
        child.stdout.close()
    answered = {int(line.split()[1]) for line in lines if line.endswith("\n")}
    stored = {vote["id"] for vote in sessions.open("talk").votes()}
    assert len(answered) >= 69
    assert answered <= stored
    assert len(stored - answered) <= 3  # at most one vote was unacknowledged at each kill


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
def test_a_torn_last_frame_loses_no_answered_vote(session, sessions, tmp_path, kept):
    """The power fails while a vote's frame is written: only this vote is lost."""
    rater = session.join()
    for pair in (1, 2, 3):
        session.vote(rater, pair, "left")
    wal = sessions.root / "talk.db-wal"
    answered = wal.stat().st_size
    session.vote(rater, 4, "left")  # this one was never acknowledged
    page = struct.unpack(">I", wal.read_bytes()[8:12])[0]
    frame = 24 + page
    assert wal.stat().st_size > answered
    assert (wal.stat().st_size - 32) % frame == 0  # a header of 32 bytes, then frames
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("talk.db", "talk.db-wal"):
        shutil.copy(sessions.root / name, crashed)
    with (crashed / "talk.db-wal").open("r+b") as file:
        file.truncate(wal.stat().st_size - frame + int(kept * frame))
    sessions_again = Sessions(crashed)
    again = sessions_again.open("talk")
    assert [vote["pair"] for vote in again.votes()] == [1, 2, 3]
    assert again.vote(rater, 4, "right") == 4
    assert again.tally()["votes"] == 4
    sessions_again.close()


def test_no_rater_waits_for_a_list_of_all_votes(session):
    """The query ends only after another thread's vote, like one over many rows."""
    rater = session.join()
    voted = threading.Event()

    def slow(row):
        assert voted.wait(60)
        return row

    session._list.connection.create_function("slow", 1, slow)
    with ThreadPoolExecutor(1) as pool:
        listing = pool.submit(session._list, "SELECT slow(id) FROM pairs")
        session.vote(rater, 1, "left")
        assert session.ballot(rater, 0.0, random.Random(0)).pair != 1
        voted.set()
        assert len(listing.result()) == 4
