"""Damaged runs: the page reads their intact parts, and lists all other runs."""

from __future__ import annotations

import json
from itertools import product

import pytest

from align_core.config.run_config import resolve
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground import text
from playground.content.new_events import Cursor
from playground.handlers.ask import AskHandlers
from playground.handlers.compare import CompareHandlers
from playground.handlers.train import TrainHandlers
from playground.people.access import VisibleRuns
from playground.people.visitors import Visitors
from tests.playground.scripted import samples
from tests.runs.test_event_schema import BAD, line

WORDS = text.load()
GOOD, BROKEN = "2026-01-02-030405-ppo-reviews", "2026-01-02-030406-ppo-reviews"
METRICS = ("eval/gold_reward", "eval/gold_reward_reference", "eval/kl", "eval/gain", "eval/length")
METRICS += ("eval/proxy_reward", "eval/entropy", "eval/frontier_efficiency", "eval/win_rate")
METRICS += ("timing/step", "timing/evaluation", "loss/value_avg", "policy/clipfrac_avg", "loss")


@pytest.fixture
def client(tmp_path, fake_assets):
    client = Client(tmp_path / "runs")
    created(client, GOOD)
    return client


def created(client, name, *lines):
    """A finished run, with additional `lines` in its log."""
    run = RunDirectory.create(client.root / name, resolve("ppo", "reviews"))
    status = {"kind": "status", "step": 0, "seconds": 1.0, "status": "running", "message": ""}
    run.append(status)
    for step in (0, 7):
        measured = {"eval/kl": 0.1 * step, "timing/step": 1.0, "timing/evaluation": 1.0}
        run.append({"kind": "metrics", "step": step, "seconds": 2.0 + step, "metrics": measured})
    with run.events_path.open("a") as log:
        log.writelines(f"{text}\n" for text in lines)
    run.append({**status, "step": 7, "seconds": 10.0, "status": "finished"})
    run.close()
    return run


def compared(client):
    return CompareHandlers(VisibleRuns(client, Visitors(client), None), None, WORDS, {})


def requested(client):
    """The answers to the requests that read runs."""
    train, compare = (
        TrainHandlers(client, WORDS),
        compared(client),
    )
    cursors = [{"run": GOOD}, {"run": BROKEN}]
    return {
        "listed": [run["run"] for run in compare.runs({"task": "reviews"})],
        "newest": AskHandlers(client, None, WORDS, {}).newest_run(
            {"task": "reviews", "method": "ppo"}
        ),
        "compared": compare.compare(cursors),
        "shown": train.live.delta(Cursor()),
        "restored": train.restore(),
        "needed": client.estimate(method="ppo", task="reviews", steps=10),
    }


def test_lines_that_are_not_events_are_skipped(client):
    created(client, BROKEN, *map(line, BAD))
    answers = requested(client)
    assert answers["listed"] == [BROKEN, GOOD]
    good, broken = answers["compared"]["runs"]
    assert broken["points"] == good["points"] == {"eval/kl": [[0, 0.0], [7, 0.7000000000000001]]}
    assert answers["shown"]["run"] == BROKEN and answers["shown"]["status"]["name"] == "finished"
    assert answers["needed"] > 10.0


def test_every_declared_event_is_shown(client):
    """The largest and smallest numbers, nulls, zeros, and steps in any order."""
    values = (1e100, -1e100, 1e-300, 0.0, None)
    steps, times = (9, 0, 2**53 - 1, 3, 3), (1e100, 0.0, -1e100)
    events = []
    for i, (first, second) in enumerate(product(values, values)):
        at = {"kind": "metrics", "step": steps[i % 5], "seconds": times[i % 3]}
        events += [{**at, "metrics": dict.fromkeys(METRICS, value)} for value in (first, second)]
    change = {"kind": "change", "step": 2**53 - 1, "seconds": 1.0, "settings": {}}
    events += [change, {**change, "settings": {"beta": 0.0, "learning_rate": 1e-300}}]
    events += [{"kind": "samples", "step": 0, "seconds": 1.0, "samples": samples(1.0)}]
    events += [{"kind": "resume", "step": step, "seconds": 1.0} for step in (2**53 - 1, 0)]
    for length in range(1, len(events) + 1):
        name = f"2026-01-02-{30500 + length:06d}-ppo-reviews"
        created(client, name, *map(json.dumps, events[:length]))
        train, compare = (
            TrainHandlers(client, WORDS),
            compared(client),
        )
        answers = [
            train.live.delta(Cursor()),
            train.restore(),
            compare.compare([{"run": name}]),
            client.estimate(method="ppo", task="reviews", steps=10),
        ]
        assert answers[0]["run"] == name
        json.dumps(answers, allow_nan=False, default=str)
    assert len(compare.runs({"task": "reviews"})) == 12


def test_an_unreadable_run_is_skipped_and_logged_once(client, caplog):
    config = json.loads((client.root / GOOD / "config.json").read_text())
    contents = ["", "[]", "{}", "[" * 100_000, "\0", json.dumps({**config, "beta": "x"})]
    contents += [json.dumps({**config, "wings": 2}), json.dumps({**config, "task": 7})]
    for second, content in enumerate(contents, 10):
        folder = client.root / f"2026-01-02-0305{second}-ppo-reviews"
        folder.mkdir()
        (folder / "config.json").write_text(content)
    created(client, BROKEN).events_path.unlink()
    (client.root / BROKEN / "events.jsonl").mkdir()
    for _ in range(2):
        assert client.runs() == [GOOD]
        answers = requested(client)
        assert answers["listed"] == [GOOD] and answers["shown"]["run"] == GOOD
        assert [run["run"] for run in answers["compared"]["runs"]] == [GOOD]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == len(contents) + 1
    assert all(line.startswith("The run 2026-01-02-") and "\n" not in line for line in lines)
