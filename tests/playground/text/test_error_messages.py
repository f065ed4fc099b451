"""Every error message of align_core that can reach the page, in every language."""

from __future__ import annotations

import pickle
import re

import pytest

from align_core.config.errors import ConfigError, flag, option_error
from align_core.config.messages import plain
from align_core.config.methods import methods
from align_core.config.option_checks import without_demonstrations
from align_core.config.run_config import LiveConfig, resolve, validated
from align_core.config.task_card import TaskCard
from align_core.data.preference_files import read_ratings, stored_pairs
from align_core.inference import arguments
from align_core.inference import client as inference_client
from align_core.inference.client import InferenceClient, Unanswered
from align_core.runs.child_process import start_message
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground import text
from playground.limits import Limits
from playground.people.server_limits import check_server_limits
from playground.people.visitors import Visitors
from playground.text import error_messages
from playground.voting.vote_training import VoteTraining

ASKED = (
    *(arguments.Generate, arguments.Score, arguments.HeadToHead, arguments.Candidates),
    arguments.Mixture,
)


def refused(act, *arguments, **options):
    """The messages of the error that a call raises."""
    with pytest.raises((ConfigError, Unanswered)) as raised:
        act(*arguments, **options)
    error = raised.value
    return error.lines if isinstance(error, ConfigError) else [error.message]


class Silent:
    """A helper process that never starts."""

    def send(self, question):
        pass

    def wait_for_start(self, seconds):
        return False

    def kill(self):
        pass


def silent(monkeypatch, client):
    helper = InferenceClient(client)
    monkeypatch.setattr(helper, "_started", Silent)
    return refused(helper._query, "score", {})


def of_a_large_model(client):
    """Of a model whose size is not known, as its files are not here."""
    config = resolve("dpo", "reviews").model_copy(update={"model": "nobody/nothing"})
    run = RunDirectory.create(client.root / "2026-01-02-030405-dpo-reviews", config)
    return refused(InferenceClient(client).mixture, model=run.path.name, share=0.5)


def crowded(client):
    helper = InferenceClient(client)
    while helper._places.acquire(blocking=False):
        pass
    return refused(helper._query, "score", {})


def eager(client):
    visitors = Visitors(client)
    with visitors.query_slot("a"), visitors.query_slot("a"):
        return refused(visitors.query_slot("a").__enter__)


@pytest.fixture
def provoked(tmp_path, monkeypatch, sessions):
    """Provoked errors: at least one message of every kind."""
    from align_core.inference.prompt_rows import check_length

    client = Client(tmp_path / "runs")
    (tmp_path / "full" / "file").mkdir(parents=True)
    file = tmp_path / "pairs.jsonl"
    file.touch()
    options = {"preferences": str(file), "coverage": "film"}
    one_label = tmp_path / "ratings.jsonl"
    one_label.write_text('{"prompt": "a", "completion": "b", "label": true}')
    no_votes = sessions.create("empty", "reviews")
    with monkeypatch.context() as patch:
        patch.setenv("ALIGN_CACHE", str(tmp_path))
        not_fetched = refused(resolve, "dpo", "manners")
    return [
        *not_fetched,
        *(
            line
            for kind in (LiveConfig, *ASKED)
            for line in validated(kind, dict.fromkeys(kind.model_fields, {}))[1]
        ),
        *refused(resolve, "sft", "reviews", beta=1.0),
        *refused(resolve, "dpo", "reviews", **options),
        *validated(LiveConfig, resolve("sft", "reviews").model_dump() | {"nonsense": 1})[1],
        *refused(resolve, "dpo", "reviews", preferences="/nowhere"),
        *refused(resolve, "dpo", "reviews", model="reward-reviews"),
        *refused(resolve, "ppo", "reviews", reward_model="sft-reviews"),
        *refused(resolve, "ppo", "reviews", model="nobody/nothing"),
        *refused(resolve, "ppo", "/poems.py:Poems"),
        *refused(resolve, "rloo", "reviews", batch_size=126),
        *refused(resolve, "kto", "reviews", batch_size=1),
        *refused(read_ratings, one_label),
        *without_demonstrations(
            methods()["sft"], TaskCard("poems", "Poems", "Short.", demonstrations=False)
        ),
        *RunDirectory.errors(tmp_path / "full"),
        *refused(
            check_server_limits,
            resolve("dpo", "reviews", eval_every=1),
            Limits(steps=9, evaluations=9),
        ),
        *refused(client.config, "<b>"),
        *of_a_large_model(client),
        *refused(stored_pairs, "reviews", 10**6, 0),
        *refused(check_length, "--prompt", "a text", 600, 512.0),
        *refused(VoteTraining(client, None, None, tmp_path).train, no_votes, "dpo", 0.0),
        *silent(monkeypatch, client),
        *crowded(client),
        *eager(client),
        start_message(OSError(12, "no memory")),
        inference_client._unanswered(-9),
        inference_client._unanswered(3),
    ]


def digits(line):
    return sorted(re.findall(r"\b\d+(?:\.\d+)?", line))  # without digits in names


@pytest.mark.parametrize("language", text.languages())
def test_every_error_is_in_the_words_of_the_page(provoked, language):
    words = text.load(language)
    templates = words["errors"]
    assert {line.code for line in provoked} == {*templates["takes"], *templates["says"]}
    for line in provoked:
        translation = error_messages.translate(line, words)
        assert "{" not in translation.replace("{}", "")
        if language == "zh":
            assert re.search("[\u4e00-\u9fff]", translation)
            assert " got " not in translation and "takes" not in translation


@pytest.mark.parametrize("language", text.languages())
@pytest.mark.parametrize("kind", (LiveConfig, *ASKED))
def test_the_message_of_a_field_has_its_range(kind, language):
    takes = text.load(language)["errors"]["takes"]
    for name, field in kind.model_fields.items():
        assert digits(takes[name].replace(",", "")) == digits(field.description), name


@pytest.mark.parametrize("language", text.languages())
def test_an_option_has_the_name_of_its_control(language):
    words = text.load(language)
    (line,) = refused(resolve, "ppo", "reviews", steps=0)
    label, takes = words["controls"]["steps"], words["errors"]["takes"]["steps"]
    sentence = words["errors"]["got"].format(name=label, got="0", takes=takes)
    assert error_messages.translate(line, words) == sentence
    (line,) = refused(resolve, "ppo", "reviews", steps=float("nan"))
    sentence = words["errors"]["no_number"].format(name=label, takes=takes)
    assert error_messages.translate(line, words) == sentence


def test_an_unknown_error_keeps_its_text_but_has_the_name_of_its_control():
    line = option_error("--seed", "x", "a lucky number", "unheard-of")
    words = text.load("zh")
    assert error_messages.translate(line, words) == (
        f"{words['controls']['seed']} got 'x', expected a lucky number"
    )
    assert error_messages.translate(plain("plain words"), words) == "plain words"


def test_a_message_has_the_text_of_the_command_line_and_survives_pickling():
    line = option_error(flag("seed"), "x", "a number", "seed", most=7)
    assert str(line) == line.text == "--seed got 'x', expected a number"
    assert pickle.loads(pickle.dumps(line)) == line
