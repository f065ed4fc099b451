"""Votes as preference files for training, and back."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest

from align_core.config.errors import ConfigError
from align_core.config.run_config import resolve
from align_core.data.preference_files import COLUMNS, ENDED, read_preferences, read_ratings
from align_core.votes import preference_files, simulated_raters

PROMPT = "The plot of this thriller"
PAIRS = [
    {"prompt": PROMPT, "first": " was superb.", "second": " was dull.", "second_ended": False},
    {"prompt": PROMPT, "first": " was “dull”. 🙂", "second": " was\nfine."},
]


@pytest.fixture
def session(sessions):
    session = sessions.create("talk", "reviews")
    session.add_pairs(PAIRS)
    a, b = session.join(), session.join()
    session.record([(a, 1, "first", "second"), (a, 2, "tie", "first")])
    session.record([(b, 1, "second", "first"), (b, 2, "bad", "first")])
    return session


def row(chosen: str, rejected: str, *ended: bool) -> dict:
    names = "chosen", "rejected", "chosen_ended", "rejected_ended"
    return {"prompt": PROMPT} | dict(zip(names, (chosen, rejected, *ended), strict=True))


def test_decided_votes_are_rows_and_ties_are_optional(session):
    decided = [
        row(" was superb.", " was dull.", True, False),
        row(" was dull.", " was superb.", False, True),
    ]
    both = [
        row(" was “dull”. 🙂", " was\nfine.", True, True),
        row(" was\nfine.", " was “dull”. 🙂", True, True),
    ]
    assert preference_files.preferences(session.votes()) == decided
    by_vote = preference_files.preferences(session.votes(), ties="both")
    assert by_vote == [decided[0], *both, decided[1]]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_file_can_be_loaded_as_preferences_and_by_datasets(session, tmp_path, suffix):
    path = tmp_path / f"pairs.{suffix}"
    rows = preference_files.preferences(session.votes(), ties="both")
    preference_files.write(path, rows)
    assert read_preferences(path) == rows
    assert resolve("dpo", "reviews", preferences=str(path)).preferences == str(path)
    kind = {"jsonl": "json"}.get(suffix, suffix)
    cache = str(tmp_path / "cache")
    loaded = datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=cache)
    assert loaded.to_list() == rows
    assert loaded.column_names == [*COLUMNS, *ENDED]


def test_a_file_is_new_and_of_a_known_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    taken = Path("taken.jsonl")
    taken.write_text("mine")
    for path in (taken, Path("pairs.csv"), Path("nowhere", "pairs.jsonl")):
        line = f"--output got '{path}', expected a new file that ends in .jsonl"
        with pytest.raises(ConfigError) as error:
            preference_files.write(path, [row("a", "b", True, True)])
        assert str(error.value).startswith(line)
    assert taken.read_text() == "mine"
    with pytest.raises(ConfigError, match="no vote that prefers a text"):
        preference_files.write(tmp_path / "pairs.jsonl", [])
    assert not (tmp_path / "pairs.jsonl").exists()


def test_votes_survive_a_round_trip(session, sessions, tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = preference_files.preferences(session.votes())
    preference_files.write(path, rows)
    other = sessions.create("other", "reviews")
    assert preference_files.import_votes(other, preference_files.read(path)) == 2
    assert preference_files.preferences(other.votes()) == rows
    (pair,) = other.pairs()
    assert (pair["first"], pair["second"]) == (" was dull.", " was superb.")  # alphabetical order
    assert (pair["first_ended"], pair["second_ended"]) == (False, True)
    # Gold rewards of a positive and of a truncated text.
    assert pair["second_reward"] > 0 > pair["first_reward"]
    votes = other.votes()
    assert {(vote["kind"], vote["left"]) for vote in votes} == {("imported", None)}
    assert len({vote["rater"] for vote in votes}) == 2, "two votes on one pair are two raters'"
    assert other.rater_count() == 2


def test_a_file_of_messages_is_refused(tmp_path):
    path = tmp_path / "chat.jsonl"
    asked = [{"role": "user", "content": "a"}]
    said = [[{"role": "assistant", "content": text}] for text in "ab"]
    chat = {"prompt": asked, "chosen": said[0], "rejected": said[1]}
    path.write_text(json.dumps(chat))
    with pytest.raises(ConfigError, match="FILE got .* expected texts"):
        preference_files.read(path)
    with pytest.raises(ConfigError, match="FILE got nothing, expected a JSONL or Parquet file"):
        preference_files.read(None)
    (line,) = preference_files.errors(None)
    assert line.text.startswith("--output got nothing, expected a new file")
    with pytest.raises(ConfigError, match="FILE got .*no such file"):
        preference_files.read(tmp_path / "nowhere.jsonl")


def test_pairs_of_the_pool_come_without_their_label():
    pairs = preference_files.pool_pairs("reviews", 400, 0)
    assert pairs == preference_files.pool_pairs("reviews", 400, 0)
    better = sum(pair["first_reward"] > pair["second_reward"] for pair in pairs)
    assert better == pytest.approx(200, abs=40)  # 4 σ; in 8 of 10 pairs the chosen text is better
    assert pairs[0]["model"] == "sft-reviews" and "ref_chosen_logps" not in pairs[0]


def test_a_mixed_file_reports_its_shares(session, tmp_path):
    path = tmp_path / "mixed.jsonl"
    counts = preference_files.write_mixed(path, session.votes(), "reviews", 6, "noisy")
    shares = {"simulated": 6, "simulated_share": 0.75, "left_out": 2}
    assert counts == {"rows": 8, "votes": 2, **shares}
    rows = read_preferences(path)
    assert len(rows) == 8
    assert sum(row["prompt"] == PROMPT for row in rows) == 2
    again = tmp_path / "again.jsonl"
    preference_files.write_mixed(again, session.votes(), "reviews", 6, "noisy")
    assert again.read_bytes() == path.read_bytes()
    alone = preference_files.write_mixed(tmp_path / "own.jsonl", session.votes(), "reviews", 0)
    shares = {"simulated": 0, "simulated_share": 0.0, "left_out": 2}
    assert alone == {"rows": 2, "votes": 2, **shares}


def test_as_ratings_every_vote_is_two_texts(session, tmp_path):
    rows = preference_files.ratings(session.votes())
    # the first text, equally good, the second text, both bad
    assert [row["label"] for row in rows] == [True, False, True, True, False, True, False, False]
    assert rows[1] == {
        "prompt": PROMPT,
        "completion": " was dull.",
        "completion_ended": False,
        "label": False,
    }
    file = tmp_path / "ratings.jsonl"
    counts = preference_files.write_mixed(
        file, session.votes(), "reviews", 6, learns_from="ratings"
    )
    assert counts == {
        "rows": 20,
        "votes": 4,
        "simulated": 6,
        "simulated_share": 0.6,
        "left_out": 0,
    }
    assert len(read_ratings(file)) == 20


def test_few_votes_get_many_epochs_and_many_votes_the_default():
    assert preference_files.settings("dpo", "reviews", 200) == {"steps": 100, "batch_size": 16}
    assert preference_files.settings("dpo", "reviews", 2000) == {"steps": 250, "batch_size": 16}
    assert preference_files.settings("dpo", "reviews", 1) == {"steps": 1, "batch_size": 16}
    assert preference_files.settings("reward", "reviews", 200) == {"steps": 13, "batch_size": 32}


def test_a_row_without_ends_has_whole_texts_and_its_pair_is_in_alphabetical_order():
    texts = {"prompt": PROMPT, "chosen": "b", "rejected": "a"}
    pair = {"prompt": PROMPT, "first": "a", "second": "b"}
    whole = {"first_ended": True, "second_ended": True}
    assert preference_files._pair(texts) == pair | whole
    for cut, ended in (("chosen", "second_ended"), ("rejected", "first_ended")):
        made = preference_files._pair(texts | {f"{cut}_ended": False})
        assert made == pair | whole | {ended: False}


def test_the_seed_and_the_size_of_a_crowd_reach_its_votes(session, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(simulated_raters, "simulate", lambda *given: calls.append(given) or [])
    file = tmp_path / "mixed.jsonl"
    preference_files.write_mixed(file, session.votes(), "reviews", 6, "noisy", seed=3)
    (_, crowd, votes, raters, _, seed), noisy = calls.pop(), simulated_raters.CROWDS["noisy"]
    assert (crowd, votes, raters, seed) == (noisy, 6, simulated_raters.RATERS, 3)
    simulated_raters.fill(session, "noisy", 30, 4, 0.25, 7)
    assert calls == [(session.pairs(), noisy, 30, 4, 0.25, 7)]
