"""python -m align_core preferences: exit codes, output and files."""

from __future__ import annotations

import json
import re

import pytest

from align_core.cli import main as cli
from align_core.cli import preferences
from align_core.data.preference_files import read_preferences, read_ratings
from align_core.votes.sessions import Sessions
from align_core.votes.simulated_raters import CROWDS


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """`run(*arguments)` returns (exit code, output, error output); it has its own folder."""
    monkeypatch.setenv("PLAYGROUND_SESSIONS", str(tmp_path / "sessions"))

    def run(*arguments):
        code = cli.main(["preferences", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


def refused(run, *arguments) -> list[str]:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    return err.splitlines()


def test_votes_of_every_crowd_go_into_a_session_and_out_again(run, tmp_path):
    for crowd in CROWDS:
        code, out, _ = run(
            *("simulate", "--task", "reviews", "--votes", 20, "--rater", crowd),
            *("--session", "talk", "--json"),
        )
        assert (code, json.loads(out)) == (0, {"votes": 20, "session": "talk"})
    code, out, _ = run("stats", "--session", "talk", "--json")
    collected = json.loads(out)
    assert collected["kinds"] == dict.fromkeys(CROWDS, 20)
    assert (collected["task"], collected["votes"]) == ("reviews", 120)
    file = tmp_path / "pairs.jsonl"
    code, out, _ = run("export", "--session", "talk", "--output", file, "--json")
    exported = json.loads(out)
    decided = 120 - collected["ties"] - collected["both_bad"]
    assert (exported["votes"], exported["rows"], exported["held_out"]) == (120, decided, 0)
    assert len(read_preferences(file)) == decided < 120
    single = tmp_path / "ratings.jsonl"
    rows = "--rows", "ratings", "--output", single
    code, out, _ = run("export", "--session", "talk", *rows, "--json")
    assert (code, json.loads(out)["rows"]) == (0, 240)
    assert len(read_ratings(single)) == 240 and "train_dpo" not in json.loads(out)
    code, out, _ = run("import", file, "--session", "other", "--task", "reviews")
    assert (code, out) == (0, f"votes {decided}, session other\n")


def test_votes_can_be_written_directly_to_a_file(run, tmp_path):
    file = tmp_path / "pairs.parquet"
    simulate = "simulate", "--task", "capitals", "--votes", 30, "--raters", 1, "--seed", 3
    code, out, _ = run(*simulate, "--output", file)
    assert (code, out) == (0, f"votes 30, rows 30, file {file}\n")
    assert len({str(row) for row in read_preferences(file)}) == 30, "one rater, 30 pairs"
    assert not (tmp_path / "sessions").exists()
    run(*simulate, "--output", tmp_path / "again.parquet")
    assert read_preferences(tmp_path / "again.parquet") == read_preferences(file)


def test_held_out_prompts_are_in_no_file(run, tmp_path):
    run("simulate", "--task", "reviews", "--votes", 100, "--session", "talk")
    file = tmp_path / "pairs.jsonl"
    _, out, _ = run("export", "--session", "talk", "--output", file, "--hold-out", 0.3, "--json")
    report = json.loads(out)
    assert report["votes"] + report["held_out"] == 100
    assert 10 < report["held_out"] < 50


def test_stats_in_words(run, monkeypatch):
    run("simulate", "--task", "reviews", "--votes", 40, "--pairs", 10, "--session", "talk")

    class Reports:
        @staticmethod
        def score_pairs(pairs, reward_model):
            return [{**p, "first_score": p["first_reward"], "second_score": 0.0} for p in pairs]

    monkeypatch.setattr(preferences.in_process, "queries", lambda: Reports)
    code, out, _ = run("stats", "--session", "talk", "--reward-model", "reward-reviews")
    assert code == 0
    assert re.search(r"^kinds +40 task$", out, re.MULTILINE)
    for title in ("agreement", "left_share", "The reward model", "log_loss", "Most disputed"):
        assert title in out


def test_active_votes_use_the_reward_model(run, monkeypatch, tmp_path):
    scored_pairs = []

    class Reports:
        @staticmethod
        def score_pairs(pairs, reward_model):
            scored_pairs.append(reward_model)
            return [
                {**pair, "first_score": 0.1 * row, "second_score": 0.0}
                for row, pair in enumerate(pairs)
            ]

        @staticmethod
        def candidates(task, model, count, seed):
            scored_pairs.append(model)
            texts = {"first": "a", "second": "b", "first_reward": 0.0, "second_reward": 0.0}
            ends = {"first_ended": True, "second_ended": True}
            return [{"model": model, "prompt": str(row), **texts, **ends} for row in range(count)]

    monkeypatch.setattr(preferences.in_process, "queries", lambda: Reports)
    simulate = "simulate", "--votes", 5, "--session", "talk", "--active-share", 1
    first = *simulate, "--task", "reviews", "--pairs", 50, "--model", "pretrained"
    assert run(*first)[0] == 0
    assert run(*simulate, "--reward-model", "reward-capitals")[0] == 0
    assert scored_pairs == ["pretrained", "reward-reviews", "reward-capitals"]
    sessions = Sessions(tmp_path / "sessions")
    votes = sessions.open("talk").votes()
    sessions.close()
    assert len(votes) == 10
    assert max(abs(vote["first_score"]) for vote in votes) < 1.0  # 0.1 × the least sure tenth


def test_every_bad_option_gets_its_line_and_nothing_is_written(run, tmp_path):
    bad = {
        "--votes": 0, "--rater": "cat", "--raters": 1001, "--pairs": "many", "--active-share": 2,
        "--seed": -1, "--task": "opera", "--session": "../talk", "--model": "reward-reviews",
        "--reward-model": "sft-reviews", "--colour": "red",
    }  # fmt: skip
    lines = refused(run, "simulate", *(word for pair in bad.items() for word in pair))
    named = [line.split(" ")[0].rstrip(":") for line in lines]
    assert sorted(named) == sorted(bad)
    assert not (tmp_path / "sessions").exists()


def test_a_missing_argument_is_reported_with_the_accepted_values(run, tmp_path):
    assert refused(run)[0] == "ACTION got nothing, expected one of these:"
    assert refused(run, "simulate", "--task", "reviews", "--votes", 1) == [
        "expected either --session or --output, got both or neither"
    ]
    lines = refused(run, "export", "--ties", "maybe", "--hold-out", 1)
    assert [line.split(" ")[0] for line in lines] == [
        "--session", "--ties", "--hold-out", "--output",
    ]  # fmt: skip
    lines = refused(run, "import", tmp_path / "nowhere.jsonl", "--session", "talk")
    assert [line.split(" ")[0] for line in lines] == ["--task", "FILE"]
    lines = refused(run, "stats", "--session", "talk", "--reward-model", "sft-reviews")
    assert lines[0] == "--session got 'talk', expected an existing session; there is none"
    assert "this is a language model" in lines[1]


def test_a_session_is_deleted_and_nothing_else(run, tmp_path):
    for name in ("talk", "other"):
        run("simulate", "--task", "reviews", "--votes", 5, "--session", name)
    (tmp_path / "sessions" / "talk.room").touch()
    assert refused(run, "delete", "--session", "talk", "--colour", "red")[0].startswith("--colour")
    code, out, _ = run("delete", "--session", "talk")
    assert (code, out) == (0, "session talk, votes 5, deleted talk.room talk.db\n")
    assert [path.name for path in (tmp_path / "sessions").iterdir()] == ["other.db"]
    message = "--session got 'talk', expected the name of a session here: other"
    assert refused(run, "delete", "--session", "talk") == [message]
    assert refused(run, "delete")[0].startswith("--session got nothing, expected")
    _, out, _ = run("delete", "--session", "other", "--json")
    assert json.loads(out) == {"session": "other", "votes": 5, "deleted": ["other.db"]}


def test_a_session_keeps_its_task_and_its_pairs(run):
    run("simulate", "--task", "reviews", "--votes", 5, "--session", "talk")
    simulate = "simulate", "--votes", 5, "--session", "talk"
    assert refused(run, *simulate, "--task", "capitals", "--pairs", 9) == [
        "--task got 'capitals', expected reviews, the task of the session talk",
        "--pairs, --model: expected neither, as the session talk has pairs",
    ]
    assert run(*simulate)[0] == 0
