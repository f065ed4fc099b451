"""The final messages of runs, in every language."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
from pathlib import Path

import pytest

from align_core.config.errors import ConfigError, describe_error, option_error
from align_core.config.messages import Message, to_event
from align_core.config.run_config import resolve
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground import text
from playground.content.new_events import Cursor
from playground.handlers.train import TrainHandlers
from playground.text import messages
from tests.waiting import until

ROOT = Path(__file__).parents[3]
PARTS = {"loss", "gradient", "reward", "kept", "lost"}
PARTS |= {"try_rate", "try_beta", "try_reward", "or"}
CAUSES = [
    Message("killed", {}, ""),
    Message("crashed", {"signal": 11}, ""),
    Message("ended", {"code": 3}, ""),
    Message("ended_both", {}, ""),
    Message("not_started", {"error": "ENOMEM"}, ""),
    Message("unstopped", {"seconds": 10}, ""),
    Message("abandoned", {}, ""),
]


def ends():
    """Messages of every kind, in the format of a run's events."""
    from align_core.trainers.common import NonFinite
    from align_core.trainers.ppo.scores import NonFiniteReward
    from align_core.training.run import _advice

    full = OSError(errno.ENOSPC, "No space left on device")
    denied = PermissionError(errno.EACCES, "Permission denied", "/a/file")
    wrong = ConfigError(option_error("--preference-pairs", 9, "at most 5", "pool", most=5))
    config = resolve("dpo", "reviews", beta=0.25, learning_rate=0.5)
    broken = [
        *(describe_error(error, Path("/a/run")) for error in (full, denied, wrong, MemoryError())),
        _advice(NonFinite(Message("loss", {"value": "nan"}, "the loss is nan")), 7, config),
        _advice(NonFinite(Message("gradient", {}, "a gradient is not finite")), 7, config),
        _advice(
            NonFiniteReward(Message("reward", {"name": "gold", "value": "nan"}, "gold: got nan")),
            7,
            config,
        ),
        Message("time_limit", {}, "The time limit was reached."),
        Message("page_gone", {}, "the page that started this run has gone"),
        Message("unwatched", {}, "The run was stopped, since its visitor had gone"),
        Message("reward_scale", {"nats": 1.25, "std": 2.0}, "A point is worth 1.25 nats"),
        Message("sampling", {"done": 3, "count": 9}, "Sampling preference pairs: 3 of 9"),
        *CAUSES,
    ]
    cut = [
        Message("cut_off", {"cause": to_event(line), "kept": kept}, "x")
        for line in broken
        for kept in (True, False)
    ]
    return [json.loads(json.dumps(to_event(line))) for line in (*broken, *cut)]


def expected(language, kind, **values):
    return text.load(language)["messages"][kind].format(**values)


@pytest.mark.parametrize("language", text.languages())
def test_every_message_is_in_the_words_of_the_page(language):
    words = text.load(language)
    kinds = {event["cause"]["kind"] for event in ends()}
    assert kinds - {"refused"} == set(words["messages"]) - PARTS
    for event in ends():
        translation = messages.translate(event, words)
        assert "{" not in translation
        if language == "zh":
            assert re.search("[\u4e00-\u9fff]", translation), event
            assert not re.search(r"[a-z]+ [a-z]+ [a-z]+", translation), event


def test_the_numbers_of_a_message_are_shown():
    config = resolve("dpo", "reviews", beta=0.25, learning_rate=0.5)
    not_finite = [event for event in ends() if event["cause"]["kind"] == "not_finite"][0]
    translation = messages.translate(not_finite, text.load("zh"))
    assert expected("zh", "try_rate", learning_rate=config.learning_rate) in translation
    assert expected("zh", "try_beta", beta=config.beta) in translation
    assert " 7 " in translation and "nan" in translation


@pytest.mark.parametrize("language", text.languages())
def test_a_reward_that_is_not_finite_is_no_matter_of_the_learning_rate(language):
    of_reward = [event for event in ends() if event["cause"]["kind"] == "not_finite"][2]
    translation = messages.translate(of_reward, text.load(language))
    assert expected(language, "try_reward") in translation
    assert of_reward["message"].endswith("Try another reward model.")
    rate = expected(language, "try_rate", learning_rate=0.5)
    assert rate not in translation and "learning rate" not in of_reward["message"]


@pytest.mark.parametrize(
    "event",
    [
        {"message": "what an older version wrote"},
        {"message": "broke", "cause": "?"},
        {"message": "broke", "cause": {"kind": "unheard-of", "values": {}}},
        {"message": "broke", "cause": {"kind": "disk_full", "values": {}}},
        {"message": "broke", "cause": {"kind": "cut_off", "values": [1]}},
        {"message": "broke", "cause": {"kind": "cut_off", "values": {"cause": 1, "kept": True}}},
        {"message": "broke", "cause": {"kind": "refused", "values": {"lines": 7}}},
    ],
)
def test_unknown_messages_keep_their_text(event):
    assert messages.translate(event, text.load("zh")) == event["message"]


def test_every_kind_of_message_is_used():
    files = (file for name in ("align_core", "playground") for file in (ROOT / name).rglob("*.py"))
    code = "".join(file.read_text() for file in files)
    for kind in set(text.load("en")["messages"]) - PARTS | {"refused", "loss", "gradient"}:
        assert f'"{kind}"' in code, kind


def test_a_killed_run_is_reported_in_chinese(fake_assets, tmp_path):
    client = Client(tmp_path / "runs", training="tests.playground.scripted")
    handlers = TrainHandlers(client, text.load("zh"))
    run = client.start(method="dpo", task="reviews", steps=100_000)
    try:
        until(lambda: client.events(run)[0])
        os.kill(client.pid(), signal.SIGKILL)
        until(lambda: not client.live())
    finally:
        client.close()
    cause, model = expected("zh", "killed"), expected("zh", "lost")
    status = handlers.live.delta(Cursor())["status"]
    message = expected("zh", "cut_off", cause=cause, model=model)
    assert status == {"name": "failed", "message": message}
    assert "killed from outside" in RunDirectory(client.root / run).status()["message"]
