"""Runs are listed without reading their files again."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from types import SimpleNamespace

import pytest

from align_core.config.errors import ConfigError
from align_core.config.messages import Message
from align_core.config.run_config import resolve
from align_core.runs import index
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground import text
from playground.content.new_events import Cursor
from playground.handlers.train import TrainHandlers
from tests.own_thread import only_here
from tests.waiting import until

COUNT = 60


@pytest.fixture
def root(tmp_path, fake_assets):
    config = resolve("ppo", "reviews")
    for number in range(COUNT):
        run = RunDirectory.create(tmp_path / f"2026-01-02-{number:06d}-ppo-reviews", config)
        run.append(
            {"kind": "status", "step": 1, "seconds": 1.0, "status": "finished", "message": ""}
        )
        run.close()
        os.utime(run.path, (1e9, 1e9))
    os.utime(tmp_path, (1e9, 1e9))  # an old time, so that the folder counts as unchanged
    return tmp_path


@pytest.fixture
def calls(monkeypatch):
    """Counts of files opened and folders listed by this thread."""
    counts = Counter()
    for name in ("open", "scandir"):
        original = getattr(os, name)

        def counted(*arguments, name=name, original=original, **options):
            counts[name] += 1
            return original(*arguments, **options)

        monkeypatch.setattr(os, name, only_here(counted, original))
    return counts


def test_each_run_is_read_once_and_listed_once(root, calls):
    client = Client(root)
    assert len(client.runs()) == COUNT
    assert calls == {"scandir": 1, "open": COUNT}  # its configuration
    calls.clear()
    for _ in range(20):
        client.runs()
        assert client.has(f"2026-01-02-{COUNT - 1:06d}-ppo-reviews") and not client.has("x")
    assert calls == {}


def test_a_poll_of_a_page_reads_only_the_shown_run(root, calls):
    train = TrainHandlers(Client(root), text.load())
    newest = f"2026-01-02-{COUNT - 1:06d}-ppo-reviews"
    cursor = train.live.delta(Cursor.of({"run": newest, "chosen": True}))
    assert cursor["run"] == newest
    calls.clear()
    for _ in range(5):
        train.live.new_events(Cursor.of({name: cursor[name] for name in ("run", "offset")}))
    assert calls["open"] <= 5 and calls["scandir"] == 0


def test_new_and_deleted_runs_are_noticed(root):
    client = Client(root)
    first, *_ = client.runs()
    shutil.rmtree(root / first)
    assert len(client.runs()) == COUNT - 1 and not client.has(first)
    RunDirectory.create(root / first, resolve("dpo", "reviews"))
    until(lambda: client.runs()[0] == first)  # a folder's time of change is coarse
    assert client.config(first)["method"] == "dpo"


def test_a_folder_that_does_not_exist_yet_has_no_runs(tmp_path):
    runs = index.RunIndex(tmp_path / "later")
    assert runs.names() == []
    (tmp_path / "later").mkdir()
    assert runs.names() == []


def test_a_run_that_cannot_be_read_is_named_once_with_its_errors(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(index, "RETRY_SECONDS", -1.0)
    monkeypatch.setattr(index, "RELIST_SECONDS", -1.0)
    run = tmp_path / "runs" / "2026-01-02-000000-ppo-reviews"
    run.mkdir(parents=True)
    runs = index.RunIndex(run.parent)
    assert runs.names() == [] and caplog.messages == [], "its files are yet to come"
    good = resolve("ppo", "reviews").model_dump()
    (run / "config.json").write_text(json.dumps(good | {"steps": 0, "batch_size": 0, "seed": -1}))
    for _ in range(3):
        assert runs.names() == []
    (line,) = caplog.messages
    assert line.startswith(f"The run {run.name} is skipped: {run}/config.json: --steps got 0, ")
    assert line.endswith(" (and 2 more)")
    (run / "config.json").write_text(json.dumps(good))
    assert runs.names() == [run.name] and len(caplog.messages) == 1


@pytest.fixture
def clock(monkeypatch):
    """The time of the index, in seconds, as `clock.now`."""
    clock = SimpleNamespace(now=1000.0)
    clock.time = clock.monotonic = lambda: clock.now
    monkeypatch.setattr(index, "time", clock)
    return clock


def test_a_folder_that_has_just_changed_is_listed_again_after_a_while(
    tmp_path, fake_assets, calls, clock, monkeypatch
):
    """Another change within the tick of the file system's clock would not be seen otherwise."""
    monkeypatch.setattr(index, "RELIST_SECONDS", 0.125)  # an eighth is exact in a float
    run = "2026-01-02-000000-ppo-reviews"
    RunDirectory.create(tmp_path / "runs" / run, resolve("ppo", "reviews"))
    os.utime(tmp_path / "runs", (999.5, 999.5))
    runs = index.RunIndex(tmp_path / "runs")

    def listings(later, ask):
        clock.now += later
        calls.clear()
        ask()
        return calls["scandir"], calls["open"]

    assert listings(0, runs.names) == (1, 1)
    assert listings(0.0625, runs.names) == (0, 0)
    assert listings(0, lambda: run in runs) == (0, 0)
    assert listings(0, lambda: "another" in runs) == (1, 0), "it may have come just now"
    assert listings(0.125, runs.names) == (0, 0)
    assert listings(0.0625, runs.names) == (1, 0)
    assert listings(1.25, runs.names) == (1, 0)  # 2 s after the change
    assert listings(0.25, runs.names) == (1, 0)  # over 2 s after it: the last time
    for ask in (runs.names, lambda: "another" in runs):
        assert listings(9.0, ask) == (0, 0)
    with pytest.raises(ConfigError) as error:
        runs.directory("another")
    line = Message("no_run", {"name": "another"}, "there is no run 'another' here")
    assert error.value.lines == [line]


def test_an_unreadable_run_is_checked_again_after_a_second(tmp_path, fake_assets, clock):
    run = tmp_path / "2026-01-02-000000-ppo-reviews"
    run.mkdir()
    (run / "config.json").write_text("{")
    os.utime(tmp_path, (900, 900))
    runs = index.RunIndex(tmp_path)
    assert runs.names() == []
    (run / "config.json").write_text(json.dumps(resolve("ppo", "reviews").model_dump()))
    for later, names in ((0.0, []), (1.0, []), (0.25, [run.name])):
        clock.now += later
        assert runs.names() == names
