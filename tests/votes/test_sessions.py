"""The folder of the sessions: their names, and the files deleted with a session."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from align_core.config.errors import ConfigError
from align_core.votes import sessions as module
from align_core.votes.sessions import Sessions, folder
from align_core.votes.sqlite_writer import Closed
from tests.votes.conftest import pairs


def test_sessions_are_kept_apart_and_found_again(sessions, tmp_path):
    for name, task in (("2026-01-01-a", "reviews"), ("2026-01-02-b", "capitals")):
        session = sessions.create(name, task)
        session.add_pairs(pairs(1))
        session.vote(session.join(), 1, "left")
    assert sessions.names() == ["2026-01-02-b", "2026-01-01-a"]
    sessions.close()
    again = Sessions(tmp_path / "sessions")
    assert again.open("2026-01-02-b").task == "capitals"
    assert again.open("2026-01-02-b") is again.open("2026-01-02-b")
    assert again.open("2026-01-01-a").tally()["votes"] == 1
    again.close()


@pytest.mark.parametrize("name", ["", "../talk", "/etc/passwd", "a/b", "A", "talk.db", ".", "-x"])
@pytest.mark.parametrize("what", ["create", "open", "delete"])
def test_a_name_is_never_a_path(sessions, name, what):
    with pytest.raises(ConfigError, match="--session got .*1 to 40 lower-case letters"):
        getattr(sessions, what)(name, *(["reviews"] if what == "create" else []))
    assert not sessions.root.exists()


def test_a_name_is_taken_once_and_a_file_of_another_kind_is_no_session(sessions, session):
    with pytest.raises(ConfigError, match="--session got 'talk', .* a name that is not taken"):
        sessions.create("talk", "reviews")
    with pytest.raises(ConfigError, match="--session got 'walk', .*name of a session here: talk"):
        sessions.open("walk")
    with pytest.raises(ConfigError, match="--session got 'walk'.*the name of a session here: talk"):
        sessions.delete("walk")
    (sessions.root / "other.db").write_text("no database, and longer than any header " * 9)
    (sessions.root / "empty.db").touch()
    for name in ("other", "empty"):
        with pytest.raises(ConfigError, match=f"--session got '{name}', expected a session; "):
            sessions.open(name)


def test_an_impossible_folder_is_reported(tmp_path):
    (tmp_path / "file").write_text("mine")
    for root in (tmp_path / "file", tmp_path / "file" / "sessions"):
        with pytest.raises(ConfigError, match="--sessions got .*a folder that can be written"):
            Sessions(root).create("talk", "reviews")
    assert Sessions(tmp_path / "file").names() == []


def test_a_deleted_session_leaves_nothing_on_the_disk(sessions, session):
    sessions.create("other", "reviews")
    rater = session.join()
    session.vote(rater, 1, "left")
    assert (sessions.root / "talk.db-wal").exists()
    (sessions.root / "talk.room").touch()
    (sessions.root / "trained-on" / "talk").mkdir(parents=True)
    (sessions.root / "trained-on" / "talk" / "votes.jsonl").touch()
    assert sessions.delete("talk") == ["trained-on/talk", "talk.room", "talk.db"]
    (sessions.root / "trained-on").rmdir()  # raises OSError unless it is empty
    assert {path.name.partition(".")[0] for path in sessions.root.iterdir()} == {"other"}
    for use in (session.tally, lambda: session.vote(rater, 2, "left"), session.join):
        with pytest.raises(Closed):
            use()
    with pytest.raises(ConfigError):
        sessions.delete("talk")
    assert sessions.create("talk", "reviews").tally()["votes"] == 0


def test_sessions_deleted_by_another_process_are_gone(sessions, session, tmp_path):
    rater = session.join()
    others = Sessions(tmp_path / "sessions")
    others.delete("talk")
    with pytest.raises(ConfigError, match="there is none"):
        sessions.open("talk")
    with pytest.raises(Closed):
        session.vote(rater, 1, "left")
    sessions.create("talk", "reviews")
    others.delete("talk")
    rater = others.create("talk", "capitals").join()
    assert sessions.open("talk").task == "capitals" and sessions.open("talk").has_rater(rater)
    others.close()


def test_old_sessions_are_those_to_which_nothing_was_written_for_days(sessions, monkeypatch):
    now = time.time()
    written = {"b": 3.0, "a": 2.0, "c": 1.0}  # days ago
    for name in written:
        sessions.create(name, "reviews")
    sessions.close()
    for name, days in written.items():
        os.utime(sessions.root / f"{name}.db", (now - days * 86_400,) * 2)
    monkeypatch.setattr(module, "steady_time", lambda: now)
    assert sessions.older_than(1.5) == ["b", "a"], "oldest first"
    assert sessions.older_than(2) == ["b"], "not over two days"
    assert sessions.older_than(2 - 1e-6) == ["b", "a"]
    (sessions.root / "b.db-wal").touch()  # a vote that is not in the database's file yet
    assert sessions.older_than(1.5) == ["a"]


def test_the_folder_of_the_sessions(monkeypatch):
    monkeypatch.delenv("PLAYGROUND_SESSIONS", raising=False)
    assert folder() == Path("sessions")
    monkeypatch.setenv("PLAYGROUND_SESSIONS", "/data/votes")
    assert folder() == Path("/data/votes")


def test_files_of_a_killed_process_are_deleted_too(sessions, session):
    rater = session.join()
    session.vote(rater, 1, "left")
    left = {name: (sessions.root / name).read_bytes() for name in ("talk.db", "talk.db-wal")}
    sessions.close()
    for name, content in left.items():
        (sessions.root / name).write_bytes(content)
    sessions.delete("talk")
    assert list(sessions.root.iterdir()) == []
