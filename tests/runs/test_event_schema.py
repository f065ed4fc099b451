"""The schema of a log's lines; other lines are skipped."""

from __future__ import annotations

import json

import pytest

from align_core import load_run
from align_core.config.run_config import resolve
from align_core.runs.directory import RunDirectory
from align_core.runs.event_schema import parse

AT = {"step": 9, "seconds": 1.0}
STATUS = {"kind": "status", **AT, "status": "running", "message": ""}
METRICS = {"kind": "metrics", **AT, "metrics": {"eval/kl": 0.5, "eval/gain": None}}
TOKEN = {"text": "a", "logp": -1.0, "ref_logp": -2.0}
SAMPLE = {
    "prompt": "The",
    "reference": {"text": "b", "gold_reward": 0.5, "proxy_reward": None},
    "policy": {"text": "a", "gold_reward": 1.5, "proxy_reward": 0.5, "kl": 0.25, "tokens": [TOKEN]},
}
SAMPLES = {"kind": "samples", **AT, "samples": [SAMPLE]}
CHANGE = {"kind": "change", **AT, "settings": {"beta": 0.5}, "before": {"beta": 0.25}}
RESUME = {"kind": "resume", **AT}
PAIR = {"prompt": "The", "chosen": {"text": "a", "score": 0.5}, "rejected": {"text": "b"}}
EXAMPLES = [
    {"kind": "example", **AT, "example": one} for one in (PAIR, {"prompt": "", "text": "a"})
]
LAST = {"kind": "resume", "step": 2**53 - 1, "seconds": -1.0}
GOOD = (STATUS, METRICS, SAMPLES, CHANGE, RESUME, *EXAMPLES, LAST)


def without(event, *keys):
    return {key: value for key, value in event.items() if key not in keys}


def changed(**changes):
    return {**SAMPLES, "samples": [{**SAMPLE, **changes}]}


def token(**changes):
    return changed(policy={"text": "a", "tokens": [{**TOKEN, **changes}]})


# Each is one line of a log: an event, or its text.
BAD = [
    *("", "null", "7", "[]", "{}", '"metrics"', "{", "[" * 100_000, '{"kind":' * 100_000),
    *({"kind": kind, **AT} for kind in ([], {}, None, 1, "weather", "Status")),
    *(without(event, "step") for event in GOOD),
    *(without(event, "seconds") for event in GOOD),
    *({**METRICS, "step": step} for step in ("9", None, -1, 1.5, True, [9], 2**53, 10**400)),
    *({**METRICS, "seconds": seconds} for seconds in ("9", None, [1], True, 1e200, 10**400)),
    *({**STATUS, "status": status} for status in (None, 1, [], "", "evil", "Running")),
    *({**STATUS, "message": message} for message in (None, 1, [], {})),
    *(without(STATUS, key) for key in ("status", "message")),
    *({**METRICS, "metrics": metrics} for metrics in (None, [], "x", 1)),
    *({**METRICS, "metrics": {"eval/kl": value}} for value in ("abc", [1], {}, True, -1e300)),
    without(METRICS, "metrics"),
    *(json.dumps(METRICS).replace("0.5", number) for number in ("NaN", "Infinity", "1e400", "-")),
    json.dumps(METRICS).replace("0.5", "1" + "0" * 5000),
    json.dumps(METRICS).replace("eval/kl", r"\ud800"),
    *({**SAMPLES, "samples": samples} for samples in (None, {}, "x", [None], ["x"], [{}], [[]])),
    without(SAMPLES, "samples"),
    *(changed(**{key: value}) for key in SAMPLE for value in (None, 1, [], {})),
    changed(reference={"text": "b", "gold_reward": "1"}),
    changed(policy={"text": "a"}),
    *(changed(policy={"text": "a", "tokens": tokens}) for tokens in (None, {}, [None], [{}])),
    *(token(**{key: value}) for key in ("logp", "ref_logp") for value in (None, "1", [], True)),
    token(text=None),
    *({**CHANGE, "settings": settings} for settings in (None, [], "x", {"beta": "x"})),
    *({**CHANGE, "settings": {"beta": value}} for value in (None, -1, 1001, [], True)),
    *({**CHANGE, "settings": {"learning_rate": value}} for value in (None, 0, 2)),
    without(CHANGE, "settings"),
    *({**EXAMPLES[0], "example": content} for content in (None, [], {}, {"prompt": "The"})),
    *({**EXAMPLES[0], "example": {**PAIR, side: {"text": "a", "score": None}}} for side in PAIR),
    *({"kind": "token", **AT, "token": content} for content in (None, [], {}, {"place": 1})),
]


def line(event):
    return event if isinstance(event, str) else json.dumps(event)


@pytest.fixture
def run(tmp_path, fake_assets):
    """The directory of a run whose log has all BAD lines between its GOOD ones."""
    run = RunDirectory.create(tmp_path / "run", resolve("dpo", "reviews"))
    lines = [*map(line, BAD), *map(line, GOOD), *map(line, BAD)]
    run.events_path.write_bytes("\n".join([*lines, ""]).encode() + b"\xff\xfe\n\0\n")
    return run


def test_an_event_of_each_kind_is_read_unchanged():
    for event in GOOD:
        assert parse(line(event).encode()) == event


def test_undeclared_lines_are_skipped():
    assert [event for event in BAD if parse(line(event).encode()) is not None] == []
    assert parse(b"\xff\xfe") is None
    evil = {**CHANGE, "settings": {"beta": 0.5, "method": "evil"}, "mood": [10**30]}
    assert parse(line(evil).encode()) == CHANGE


def test_a_damaged_log_is_read_without_its_damaged_lines(run):
    assert run.events()[0] == list(GOOD)
    assert run.events()[1] == run.size()
    assert run.status()["status"] == "running"
    read = load_run(run.path)
    assert list(read.metrics.index) == [9] and read.metrics.loc[9, "eval/kl"] == 0.5
    assert read.samples() == [SAMPLE] and read._changes() == {9: {"beta": 0.5}}
