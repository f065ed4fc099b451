"""Questions to the helper process that are refused before it is started."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from align_core.config import task_card
from align_core.config.errors import ConfigError
from align_core.inference import client as client_module
from align_core.inference.client import Unanswered
from tests.inference.conftest import ASKED, EMPTY, RUN, SCORED, SCORER


def test_a_bad_head_to_head_is_reported_and_starts_nothing(helper):
    with pytest.raises(ConfigError) as error:
        helper.head_to_head(task="opera", models=[RUN], n=17, seed=-1)
    assert [line.text.split(" ")[0] for line in error.value.lines] == [
        "--task",
        "--models",
        "-n",
        "--seed",
    ]
    for wrong in (EMPTY, SCORER, "../reference"):
        with pytest.raises(ConfigError):
            helper.head_to_head(task="reviews", models=[RUN, wrong], n=1, seed=0)
    assert helper.pid() is None


def test_unavailable_pairs_start_nothing(helper):
    with pytest.raises(ConfigError) as error:
        helper.candidates(task="opera", model="sft-reviews", count=1025, seed=-1)
    assert [line.text.split(" ")[0] for line in error.value.lines] == [
        "--task",
        "--count",
        "--seed",
    ]
    with pytest.raises(ConfigError, match="a model that writes; this one scores"):
        helper.candidates(task="reviews", model=SCORER, count=1, seed=0)
    with pytest.raises(ConfigError, match="a model that scores; this one writes"):
        helper.score_pairs([], "sft-reviews")
    assert helper.pid() is None


def test_every_bad_option_gets_its_line(helper):
    bad = {"task": "opera", "models": [], "prompt": " ", "n": 17, "temperature": 0, "seed": -1}
    with pytest.raises(ConfigError) as error:
        helper.generate(**bad)
    lines = error.value.lines
    options = ["--task", "--models", "--prompt", "-n", "--temperature", "--seed"]
    assert [line.text.split(" ")[0] for line in lines] == options
    assert lines[3].text == "-n got 17, expected a whole number of samples from 1 to 16"
    shares = [{"realign": share} for share in (-0.1, 1001, True, "x", float("nan"))]
    texts = [{"prompt": None}, {"prompt": "\ud800"}, {"prompt": "x" * 2001}]
    for wrong in (*shares, *texts, {"n": True}):
        with pytest.raises(ConfigError):
            helper.generate(**ASKED | wrong)
    with pytest.raises(ConfigError, match="--completions got"):
        helper.score(**SCORED | {"completions": ["good."] * 9})
    assert helper.pid() is None, "a query refused here starts no process"


@pytest.mark.parametrize("name", ["../reference", "/etc", ".", "", RUN + "/model", "gpt2", EMPTY])
def test_a_model_is_an_embedded_name_or_a_run_with_a_model(helper, name):
    for ask in (
        lambda: helper.generate(**ASKED | {"models": [name]}),
        lambda: helper.score(**SCORED | {"model": name}),
        lambda: helper.score(**SCORED | {"reference": name}),
    ):
        with pytest.raises(ConfigError):
            ask()
    assert helper.pid() is None


@pytest.mark.parametrize("error", [OSError(24, "too many open files"), RuntimeError("no thread")])
def test_a_question_without_memory_for_a_process_is_not_answered(helper, monkeypatch, error):
    def fail(*_):
        raise error

    with monkeypatch.context() as full:
        full.setattr(client_module, "Child", fail)
        with pytest.raises(Unanswered) as unanswered:
            helper.generate(**ASKED)
    assert unanswered.value.message.code == "helper_killed"
    assert helper.pid() is None and not helper._in_progress, "the next question starts one"


def test_the_reference_of_a_task_answers_questions_only_about_it(helper, monkeypatch):
    reference = str(helper._client.root.with_name("reference"))
    theirs = replace(task_card.known_card("reviews"), folder="/a/task", reference=reference)
    monkeypatch.setitem(task_card._registered, theirs.full_name, theirs)
    monkeypatch.setattr(helper, "_query", lambda query, arguments: arguments["models"])
    asked = ASKED | {"task": theirs.full_name, "models": [reference]}
    assert helper.generate(**asked) == [{"model": reference, "samples": reference}]
    with pytest.raises(ConfigError):
        helper.generate(**asked | {"task": "reviews"})


def test_questions_beyond_the_waiting_places_are_refused(helper, monkeypatch):
    monkeypatch.setattr(helper, "_places", threading.BoundedSemaphore(1))
    helper._places.acquire()
    with pytest.raises(Unanswered, match="Many are asking"):
        helper.generate(**ASKED)
