"""Pruning of runs by age and by size, and the runs that are always kept."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from align_core.cli.main import main
from align_core.config.run_config import resolve
from align_core.runs.directory import RunDirectory
from align_core.runs.pruning import StoredRun, delete, stored_runs, to_prune
from tests.own_thread import only_here

NOW = 1_000_000_000.0
DAY = 24 * 60 * 60


def run(name, days, size, live=False):
    ended = NOW - days * DAY
    return StoredRun(Path(name), "dpo", "reviews", "finished", 40, ended, size, live)


RUNS = [run("new", 1, 10), run("big", 5, 70), run("old", 9, 20, live=True), run("oldest", 12, 30)]


def names(runs):
    return [run.path.name for run in runs]


def test_runs_are_pruned_by_age():
    assert names(to_prune(RUNS, days=4, now=NOW)) == ["oldest", "big"], "a live one is kept"
    assert names(to_prune(RUNS, days=12, now=NOW)) == [], "on the second, it is not older"
    assert names(to_prune(RUNS, days=12, now=NOW + 1)) == ["oldest"]
    assert names(to_prune(RUNS, now=NOW)) == []


def test_the_oldest_are_pruned_until_the_others_fit():
    # 130 bytes in total; 100 without the oldest, and 30 without the big one, of which 20 are live
    for most, expected in (
        (130, []),
        (129, ["oldest"]),
        (100, ["oldest"]),
        (99, ["oldest", "big"]),
        (30, ["oldest", "big"]),
        (29, ["oldest", "big", "new"]),
        (0, ["oldest", "big", "new"]),
    ):
        assert names(to_prune(RUNS, max_bytes=most, now=NOW)) == expected, most


def test_runs_pruned_by_age_do_not_count_for_the_size():
    assert names(to_prune(RUNS, days=10, max_bytes=100, now=NOW)) == ["oldest"]


@pytest.fixture
def root(tmp_path, fake_assets):
    """A run, a link to another one, a folder with a model, and a damaged run."""
    for name, days in (("first", 5), ("second", 1)):
        stored = RunDirectory.create(tmp_path / "runs" / name, resolve("dpo", "reviews"))
        stored.append(
            {"kind": "status", "step": 3, "seconds": 1.0, "status": "finished", "message": ""}
        )
        stored.close()
        time = stored.events_path.stat().st_mtime - days * DAY
        os.utime(stored.events_path, (time, time))
    (tmp_path / "runs" / "second" / "model").mkdir()
    (tmp_path / "runs" / "second" / "model" / "weights").write_bytes(bytes(2_000_000))
    for name, content in (("model", '{"model_type": "gpt2"}'), ("damaged", "[" * 9999)):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "config.json").write_text(content)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs" / "first").rename(tmp_path / "elsewhere" / "first")
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "elsewhere" / "first")
    return tmp_path / "runs"


def test_folders_without_a_run_are_neither_listed_nor_deleted(root):
    second, link = stored_runs(root)
    assert names([second, link]) == ["second", "link"]
    assert (second.status, second.step, second.live) == ("finished", 3, False)
    assert 2_000_000 < second.size < 2_010_000
    assert names(to_prune([second, link], days=0.5)) == ["second"]


def test_a_run_with_an_open_log_is_live(root):
    directory = RunDirectory.open(root / "second")
    directory.append(
        {"kind": "status", "step": 4, "seconds": 1.0, "status": "running", "message": ""}
    )
    second, _ = stored_runs(root)
    assert second.live and to_prune([second], days=0) == []
    directory.close()
    assert not stored_runs(root)[0].live


def test_a_run_that_has_not_begun_is_at_step_0(tmp_path, fake_assets):
    RunDirectory.create(tmp_path / "new", resolve("dpo", "reviews")).close()
    (new,) = stored_runs(tmp_path)
    assert (new.status, new.step, new.method, new.task) == (None, 0, "dpo", "reviews")
    assert new.size == (tmp_path / "new" / "config.json").stat().st_size


def test_a_deleted_run_is_gone_at_once(root, monkeypatch):
    second, _ = stored_runs(root)
    monkeypatch.setattr(shutil, "rmtree", only_here(lambda folder: None, shutil.rmtree))
    delete(second)
    assert not second.path.exists() and (root / ".deleted-second").is_dir()
    assert "second" not in names(stored_runs(root))


def test_the_command_deletes_only_on_request(root, capsys):
    place = ("--runs-dir", str(root))
    assert main(["runs", "list", *place, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["run"] for row in rows] == ["second", "link"] and rows[0]["method"] == "dpo"
    assert main(["runs", "list", *place]) == 0
    line, _, total = capsys.readouterr().out.splitlines()
    assert line.split(" days  ")[1] == "second  dpo on reviews, finished at step 3"
    assert total == "2 runs, 2.0 MB"
    assert main(["runs", "prune", *place, "--megabytes", "1"]) == 0
    assert capsys.readouterr().out.endswith("1 run, 2.0 MB, would be deleted with --yes\n")
    assert (root / "second").is_dir()
    assert main(["runs", "prune", *place, "--days", "0.5", "--yes"]) == 0
    assert capsys.readouterr().out.endswith("1 run, 2.0 MB, deleted\n")
    assert sorted(path.name for path in root.iterdir()) == ["damaged", "link", "model"]


def test_bad_input_is_reported_in_full(root, tmp_path, capsys):
    for arguments, lines in (
        (("prune", "--runs-dir", str(root)), ["expected --days, --megabytes or both, got neither"]),
        (
            ("prune", "--runs-dir", "/nowhere", "--days", "-1", "--megabytes", "nan"),
            ["--runs-dir got '/nowhere'", "--days got '-1'", "--megabytes got 'nan'"],
        ),
        ((), ["ACTION", "  list", "  prune"]),
    ):
        assert main(["runs", *arguments]) == 2
        errors = capsys.readouterr().err.splitlines()
        assert len(errors) == len(lines)
        assert all(map(str.startswith, errors, lines)), errors
