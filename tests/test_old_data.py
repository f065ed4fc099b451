"""Data of version 0.1 is read, evaluated, trained on and resumed by this version."""

from __future__ import annotations

import json
import math
import shutil
from contextlib import closing
from pathlib import Path
from random import Random
from urllib.parse import parse_qsl

import pytest

from align_core.cli import main as cli
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from align_core.votes import statistics
from align_core.votes.sessions import Sessions
from playground.handlers import links

pytestmark = pytest.mark.slow

OLD = Path(__file__).parent / "fixtures" / "v0_1"
EXPECTED = json.loads((OLD / "expected.json").read_text(encoding="utf-8"))
LINKS = json.loads((OLD / "links.json").read_text(encoding="utf-8"))
RUNS = EXPECTED["runs"]
WITH_A_MODEL = [name for name, expected in RUNS.items() if "score" in expected]
WRITES = [name for name in WITH_A_MODEL if "-reward-" not in name]
(CUT_OFF,) = RUNS.keys() - set(WITH_A_MODEL)
# Settings that version 0.1 did not have.
LATER = {"loss", "scale_rewards", "importance", "group_size", "scale", "margin", "odds_weight"}
NATS = 5e-4  # the largest difference between processors on one text


@pytest.fixture
def copied(tmp_path):
    """copied(name) returns a copy of a run, the sessions or the preferences."""

    def copied(*place):
        return Path(shutil.copytree(OLD.joinpath(*place), tmp_path.joinpath(*place)))

    return copied


@pytest.fixture
def ask(capsys):
    """Runs a command, which must succeed; returns its output."""

    def ask(*arguments):
        capsys.readouterr()
        code = cli.main([*map(str, arguments), "--json"])
        out, err = capsys.readouterr()
        assert code == 0, err
        return json.loads(out)

    return ask


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_read(copied, name):
    path = copied("runs", name)
    run = RunDirectory.open(path)
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    del config["versions"]
    assert run.config.model_dump() | config == run.config.model_dump(), "settings may be added"
    events, size = run.events()
    assert events == lines(path / "events.jsonl")
    assert (len(events), size) == (RUNS[name]["events"], run.size())
    assert run.status()["status"] == RUNS[name]["status"]


def test_the_page_lists_old_runs(copied):
    with closing(Client(copied("runs"))) as client:
        assert client.runs() == sorted(RUNS, reverse=True)
        for name in RUNS:
            assert client.config(name)["method"] in name
            assert len(client.events(name)[0]) == RUNS[name]["events"]
        assert client.status(WITH_A_MODEL[0])["status"] == "finished"
        assert client.status(CUT_OFF)["status"] == "failed", "its process is gone"


@pytest.mark.parametrize("name", WITH_A_MODEL)
def test_an_old_model_gives_the_same_scores(copied, ask, name):
    (expected,) = RUNS[name]["score"]
    arguments = "--prompt", expected["prompt"], "--completion", expected["completion"]
    (row,) = ask("score", copied("runs", name), *arguments)
    assert row.keys() == expected.keys()
    assert [token["text"] for token in row.get("tokens", [])] == [
        token["text"] for token in expected.get("tokens", [])
    ]
    numbers = {key: value for key, value in expected.items() if isinstance(value, float)}
    assert {key: row[key] for key in numbers} == pytest.approx(numbers, abs=NATS)


@pytest.mark.parametrize("name", WITH_A_MODEL)
def test_a_model_is_evaluated(copied, ask, name):
    report = ask("evaluate", copied("runs", name), "--prompts", 4)
    assert report.keys() >= {*RUNS[name]["evaluate"]}, "metrics may be added"
    numbers = [value for value in report.values() if isinstance(value, float)]
    assert len(numbers) >= 4 and all(map(math.isfinite, numbers))


@pytest.mark.parametrize("name", WRITES)
def test_a_model_writes(copied, ask, name):
    rows = ask("generate", copied("runs", name), "-n", 2, "--prompt", "The plot")
    assert len(rows) == 2
    assert all(row["completion"] and math.isfinite(row["gold_reward"]) for row in rows)


def test_an_interrupted_run_resumes_to_its_end(copied, ask):
    path = copied("runs", CUT_OFF)
    before = lines(path / "events.jsonl")
    assert cli.main(["train", "--resume", str(path), "--json"]) == 0
    run = RunDirectory.open(path)
    events, _ = run.events()
    assert events[: len(before)] == before
    (resumed,) = (event for event in events if event["kind"] == "resume")
    assert resumed["step"] == 2, "from its checkpoint"
    assert (events[-1]["step"], events[-1]["status"]) == (run.config.steps, "finished")
    assert ask("evaluate", path, "--prompts", 4)["kl"] > 0


def test_an_old_session_opens_and_accepts_votes(copied):
    expected = EXPECTED["session"]
    with closing(Sessions(copied("sessions"))) as sessions:
        assert sessions.names() == ["talk"]
        session = sessions.open("talk")
        assert session.task == expected["task"]
        assert session.tally() == expected["tally"]
        assert statistics.stats(session.votes()) == expected["stats"]
        rater = session.join()
        ballot = session.ballot(rater, 0.0, Random(0))
        session.vote(rater, ballot.pair, "tie")
        votes, raters = expected["tally"]["votes"], expected["tally"]["raters"]
        tally = session.tally()
        assert (tally["votes"], tally["raters"], tally["tie"]) == (votes + 1, raters + 1, 1)


def test_old_votes_are_exported_unchanged(copied, ask, tmp_path):
    file = tmp_path / "again.jsonl"
    where = "--session", "talk", "--sessions", copied("sessions")
    ask("preferences", "export", *where, "--output", file)
    assert lines(file) == lines(OLD / "preferences" / "talk.jsonl")


def test_a_file_of_preferences_is_trained_on(copied, tmp_path):
    file, path = copied("preferences") / "talk.jsonl", tmp_path / "run"
    size = "--steps", "2", "--batch-size", "4", "--eval-every", "2"
    train = "train", "reward", "--task", "reviews", "--preferences", str(file)
    assert cli.main([*train, *size, "--run-dir", str(path), "--json"]) == 0
    assert RunDirectory.open(path).status()["status"] == "finished"


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link["query"] or "nothing")
def test_an_old_link_gives_the_same_configuration(link):
    query = dict(parse_qsl(link["query"], keep_blank_values=True))
    config, expected = links.read(query), link["config"]
    assert config == (expected and config | expected), "settings may be added"


def test_the_old_links_have_every_setting():
    named = {name for link in LINKS for name, _ in parse_qsl(link["query"])}
    assert links.FIELDS.keys() - LATER <= named
