"""Malformed runs break no view: they are skipped, or shown without their malformed parts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from align_core.cli.main import main
from align_core.config.run_config import resolve
from align_core.inference.client import InferenceClient
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from align_core.runs.pruning import stored_runs
from playground import text
from playground.content.new_events import Cursor
from playground.handlers.ask import AskHandlers
from playground.handlers.compare import CompareHandlers
from playground.handlers.train import TrainHandlers
from playground.people.access import VisibleRuns
from playground.people.run_queue import RunQueue
from playground.people.visitors import Visitors
from playground.voting.vote_reports import VoteReports
from tests.attacks.malformed_runs import GOOD, NAMES, REFUSED, SHOWN

WORDS = text.load()
HEALTHY = "2026-01-01-000000-ppo-reviews"


@pytest.fixture
def root(tmp_path, fake_assets):
    created(tmp_path / "runs" / HEALTHY)
    return tmp_path / "runs"


def created(path: Path) -> Path:
    run = RunDirectory.create(path, resolve("ppo", "reviews"))
    for event in (*GOOD, {**GOOD[0], "step": 9, "status": "finished"}):
        run.append(event)
    run.close()
    return path


def all_of(root: Path, kinds: dict) -> dict[str, str]:
    """Creates one run of each kind in the folder; returns {kind: name}."""
    names = {}
    for number, (kind, spoil) in enumerate(kinds.items()):
        names[kind] = f"2026-02-03-{number:06d}-ppo-reviews"
        spoil(shutil.copytree(root / HEALTHY, root / names[kind]))
        if (aside := root / "aside").exists():
            shutil.rmtree(aside)
    return names


class Reader:
    """A visitor of a newly started server, with every request that reads runs."""

    def __init__(self, root: Path, session) -> None:
        self.client = Client(root)
        visitors = Visitors(self.client, key="correct horse battery")
        queue = RunQueue(self.client, visitors)
        self.train = TrainHandlers(self.client, WORDS, queue)
        runs = VisibleRuns(self.client, visitors, "somebody")
        self.compare = CompareHandlers(runs, None, WORDS, {})
        self.ask = AskHandlers(runs, None, WORDS, {})
        self.helper = InferenceClient(self.client)
        self.votes = VoteReports(self.client, self.helper, root / "trained-on")
        self.session = session

    def answers(self, run: str) -> dict:
        shown = self.train.live.delta(Cursor.of({"run": run, "chosen": True}), "somebody")
        return {
            "shown": shown,
            "polled": self.train.live.new_events(
                Cursor.of({"run": shown["run"], "offset": shown.get("offset")}), "somebody"
            ),
            "restored": self.train.restore(watched=run, visitor="somebody"),
            "compared": self.compare.compare([{"run": run}, {"run": HEALTHY}]),
            "status": self.client.has(run) and self.client.status(run),
        }

    def lists(self) -> dict:
        return {
            "runs": self.client.runs(),
            "picker": self.compare.runs({"task": "reviews"}),
            "found": self.compare.runs({"task": "reviews", "sought": "0.1"}),
            "to ask": self.ask.runs("reviews"),
            "newest": self.ask.newest_run({"task": "reviews", "method": "ppo"}),
            "needed": self.client.estimate(method="ppo", task="reviews", steps=10),
            "restored": self.train.restore(visitor="newcomer"),
            "report": self.votes.report(self.session),
        }


@pytest.fixture
def reader(root, sessions):
    return Reader(root, sessions.create("talk", "reviews"))


def is_json(answer) -> None:
    json.dumps(answer, allow_nan=False, ensure_ascii=False, default=str).encode()


def test_there_are_enough_kinds():
    assert len(REFUSED) + len(SHOWN) >= 60


def test_unreadable_runs_are_skipped_with_one_line(root, reader, caplog):
    names = all_of(root, REFUSED)
    for _ in range(3):
        lists = reader.lists()
        assert lists["runs"] == [HEALTHY]
        assert [run["run"] for run in lists["picker"]] == [HEALTHY]
        is_json(lists)
    for kind, name in names.items():
        answers = reader.answers(name)
        assert answers["shown"]["run"] != name, kind
        assert [run["run"] for run in answers["compared"]["runs"]] == [HEALTHY], kind
        is_json(answers)
    lines = [record.getMessage() for record in caplog.records]
    logged = {kind for kind, name in names.items() if sum(name in line for line in lines) == 1}
    assert logged == {*names} and len(lines) == len(names)
    assert not any("\n" in line for line in lines)


def test_errors_that_can_be_left_out_are_left_out(root, reader, caplog):
    names = all_of(root, SHOWN)
    for _ in range(2):
        lists = reader.lists()
        assert lists["runs"] == sorted([HEALTHY, *names.values()], reverse=True)
        is_json(lists)
    for kind, name in names.items():
        answers = reader.answers(name)
        is_json(answers)
        hidden = kind.startswith(("an owner", "a deep owner"))
        assert (answers["shown"]["run"] == name) != hidden, kind
        points = answers["shown"].get("points", {}).get("eval/kl", [[0, 0.0]])
        assert points[0] == [0, 0.0], kind
    assert not caplog.records


def test_models_that_cannot_be_loaded_are_refused_in_one_line(root, reader):
    """The checks in the page's process; the helper process has the others."""
    for kind, name in all_of(root, SHOWN).items():
        try:
            reader.helper._locate("--model", name)
        except ValueError as error:
            assert len(str(error).splitlines()) == 1, kind


def test_folders_without_the_name_of_a_run_are_not_listed(root, reader):
    for name in NAMES:
        (root / name).mkdir()
        shutil.copyfile(root / HEALTHY / "config.json", root / name / "config.json")
    assert reader.lists()["runs"] == [HEALTHY]
    for run in (*NAMES, "../secret", "/etc", "", "\0", None, 7, ["x"], {"a": 1}, "x" * 10_000):
        is_json(reader.answers(run))


def test_the_command_lists_and_prunes_the_other_runs(root, capsys):
    all_of(root, {**REFUSED, **SHOWN})
    assert main(["runs", "list", "--runs-dir", str(root), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert len(listed) == len(SHOWN) + 1
    assert main(["runs", "prune", "--runs-dir", str(root), "--megabytes", "0"]) == 0
    assert len(stored_runs(root)) == len(SHOWN) + 1


def test_a_repaired_run_is_listed(root, reader):
    run = root / "2026-02-03-000000-ppo-reviews"
    run.mkdir()
    assert reader.client.runs() == [HEALTHY]
    shutil.copyfile(root / HEALTHY / "config.json", run / "config.json")
    assert reader.client.has(run.name) or reader.client.status(run.name) is None
    assert reader.client.runs() == [run.name, HEALTHY]


def test_a_watched_run_may_disappear(root, reader):
    name = created(root / "2026-02-03-000000-ppo-reviews").name
    shown = reader.answers(name)["shown"]
    assert shown["run"] == name
    shutil.rmtree(root / name)
    after = reader.answers(name)
    assert after["shown"]["run"] != name
    assert [run["run"] for run in after["compared"]["runs"]] == [HEALTHY]
    assert reader.client.runs() == [HEALTHY]
    reader.train.live.end_offset(name)
    is_json(after)


def test_two_servers_share_a_folder(root, sessions):
    session = sessions.create("talk", "reviews")
    first, second = Reader(root, session), Reader(root, session)
    names = {client._new_name("ppo", "reviews") for client in (first.client, second.client) * 4}
    assert len(names) == 8, "each claims its own name"
    assert first.client.runs() == second.client.runs() == [HEALTHY]
    name = created(root / "2026-02-03-000000-ppo-reviews").name
    assert first.client.runs() == second.client.runs() == [name, HEALTHY]
    shutil.rmtree(root / name)
    assert first.client.runs() == second.client.runs() == [HEALTHY]
