"""Unreadable presets are skipped; a malformed recording hides no other one."""

from __future__ import annotations

import json
import os

import pytest

from align_core.runs import presets
from align_core.runs.client import Client
from playground import text
from playground.content.new_events import Cursor
from playground.content.recordings import recorded
from playground.handlers.compare import CompareHandlers
from playground.handlers.train import TrainHandlers
from tests.playground.recordings import record

WORDS = text.load()
SETTINGS = {"method": "ppo", "task": "reviews", "beta": 0.25}
WHOLE = {"settings": SETTINGS, "promise": {"rule": "stays"}}
FILES = {
    "empty": "",
    "list": "[]",
    "deep": "[" * 100_000,
    "none": "{}",
    "no-promise": json.dumps({"settings": SETTINGS}),
    "texts": json.dumps({"settings": "x", "promise": "y"}),
    "unknown": json.dumps({**WHOLE, "settings": {**SETTINGS, "wings": 2}}),
    "method": json.dumps({**WHOLE, "settings": {"method": [], "task": "reviews"}}),
    "task": json.dumps({**WHOLE, "settings": {"method": "ppo", "task": {"a": 1}}}),
    "newer": json.dumps({**WHOLE, "settings": {"method": "alchemy", "task": "reviews"}}),
}


@pytest.fixture
def assets(fake_assets):
    record(fake_assets, "healthy-ppo", SETTINGS)
    presets._LOGGED.clear()
    return fake_assets / "presets"


def test_unreadable_presets_are_skipped_with_one_line(assets, tmp_path, caplog):
    for name, content in FILES.items():
        (assets / f"{name}.json").write_text(content)
    os.mkfifo(assets / "pipe.json")
    (assets / "folder.json").mkdir()
    (assets / "loop.json").symlink_to("loop.json")
    for _ in range(2):
        assert presets.names() == ["healthy-ppo"] and [*recorded()] == ["recorded/healthy-ppo"]
    assert len(caplog.records) == len(FILES) + 3
    client = Client(tmp_path / "runs")
    shown = TrainHandlers(client, WORDS).live.delta(Cursor())
    assert shown["run"] == "recorded/healthy-ppo"
    client.estimate(method="ppo", task="reviews", steps=3)


@pytest.mark.parametrize("spoil", ["config", "log", "pipe", "steps", "machine"])
def test_an_unreadable_recording_is_not_offered(assets, tmp_path, spoil):
    run = assets / "healthy-ppo"
    events = run / "events.jsonl"
    if spoil == "config":
        (run / "config.json").write_text("[]")
    elif spoil == "log":
        events.unlink()
        events.mkdir()
    elif spoil == "pipe":
        events.unlink()
        os.mkfifo(events)
    elif spoil == "steps":
        events.write_text('{"kind": "resume"}\n' * 9)
    else:
        (run / "machine.txt").unlink(missing_ok=True)
        (run / "machine.txt").mkdir()
    train = TrainHandlers(Client(tmp_path / "runs"), WORDS)
    shown = train.live.delta(Cursor())
    is_offered = spoil in ("steps", "machine")
    assert (shown["run"] == "recorded/healthy-ppo") == is_offered
    train.restore()
    train.live.recordings.cards()
    CompareHandlers(Client(tmp_path / "runs"), None, WORDS, recorded()).runs({"task": "reviews"})
