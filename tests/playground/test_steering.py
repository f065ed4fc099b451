"""What the server answers to the controls and to the live view, without a browser or a worker."""

from __future__ import annotations

import math

import pytest

from align_core.client import Busy, Client
from align_core.configs import resolve
from align_core.runs import RunDirectory
from playground import text
from playground.steering import Steering

WORDS = text.load("en")


@pytest.fixture
def client(tmp_path, fake_assets):
    return Client(tmp_path / "runs")


@pytest.fixture
def steering(client):
    return Steering(client, WORDS)


def recorded(client, name="2026-01-02-030405-dpo-capitals", **options):
    """A finished run in the client's root."""
    run = RunDirectory.create(client.root / name, resolve("dpo", "capitals", **options))
    run.append({"kind": "status", "step": 0, "seconds": 0.1, "status": "running", "message": ""})
    run.append({"kind": "metrics", "step": 1, "seconds": 0.2, "metrics": {"eval/kl": 0.25}})
    run.append({"kind": "status", "step": 1, "seconds": 0.3, "status": "finished", "message": ""})
    run.close()
    return name


def test_a_choice_brings_its_explanations_and_defaults(steering):
    told_task, told_method, beta, *numbers = steering.choose("capitals", "dpo")
    config = resolve("dpo", "capitals")
    assert told_task == WORDS["tasks"]["capitals"]["explanation"]
    assert told_method == WORDS["methods"]["dpo"]["explanation"]
    assert (beta["value"], beta["visible"]) == (config.beta, True)
    assert numbers == [config.steps, config.learning_rate, config.seed]


@pytest.mark.parametrize("method", ["sft", "reward"])
def test_beta_is_hidden_where_no_beta_is(steering, method):
    assert steering.choose("reviews", method)[2]["visible"] is False


def test_a_first_visit_gets_the_first_run(steering):
    assert steering.restore()[:2] == ["reviews", "ppo"]
    assert steering.delta({"run": None, "offset": 0}) == {"run": None}


def test_a_later_visit_gets_the_settings_of_the_run_it_is_shown(steering, client):
    recorded(client, beta=0.125, seed=7)
    task, method, _, _, beta, _, _, seed = steering.restore()
    assert (task, method, beta["value"], seed) == ("capitals", "dpo", 0.125, 7)


def test_a_run_that_is_new_to_the_page_comes_whole_and_then_only_what_is_new(steering, client):
    name = recorded(client)
    first = steering.delta({"run": None, "offset": 0})
    assert (first["run"], first["config"]["task"]) == (name, "capitals")
    assert first["points"] == {"eval/kl": [[1, 0.25]]}
    assert first["status"]["name"] == "finished"
    again = steering.delta({"run": name, "offset": first["offset"]})
    assert again["config"] is None
    assert again["points"] == {}
    assert again["offset"] == first["offset"]


@pytest.mark.parametrize(
    "cursor",
    [
        {},
        {"run": "../../etc", "offset": 0},
        {"run": 7, "offset": 0},
        {"run": "2026-01-02-030405-dpo-capitals", "offset": -5},
        {"run": "2026-01-02-030405-dpo-capitals", "offset": "<b>"},
    ],
)
def test_a_cursor_that_makes_no_sense_starts_from_the_beginning(steering, client, cursor):
    recorded(client)
    assert steering.delta(cursor)["points"] == {"eval/kl": [[1, 0.25]]}


def test_every_bad_number_gets_its_line_and_its_field(steering):
    live, complaints = steering.start("reviews", "dpo", -1, None, math.inf, 1.5)
    assert live["run"] is None
    assert [field for field, _ in complaints] == ["beta", "steps", "learning_rate", "seed"]
    lines = [line for _, line in complaints]
    assert lines[0].startswith("β (beta) got -1; it takes a number above 0")
    assert lines[1].startswith("Steps holds no number; it takes a whole number")
    assert lines[2].startswith("Learning rate got inf; it takes")
    assert lines[3].startswith("Seed got 1.5; it takes a whole number")


def test_beta_is_not_sent_where_no_beta_is(steering, client, monkeypatch):
    sent = {}
    monkeypatch.setattr(client, "start", lambda **options: sent.update(options) or "a-run")
    live, complaints = steering.start("reviews", "sft", None, 10, 1e-3, 0)
    assert (live["run"], complaints) == ("a-run", [])
    assert sent == {
        "task": "reviews",
        "method": "sft",
        "steps": 10,
        "learning_rate": 1e-3,
        "seed": 0,
    }


def test_a_second_run_is_refused_in_plain_words(steering, client, monkeypatch):
    def busy(**options):
        raise Busy("one at a time")

    monkeypatch.setattr(client, "start", busy)
    _, complaints = steering.start("reviews", "dpo", 0.1, 10, 1e-3, 0)
    assert complaints == [["", WORDS["controls"]["busy"]]]


def test_commands_go_to_the_live_run_and_to_none_if_there_is_none(steering, client, monkeypatch):
    sent = []
    monkeypatch.setattr(client, "send", lambda *command: sent.append(command))
    steering.command("stop")
    monkeypatch.setattr(client, "current", lambda: "a-run")
    steering.command("stop")
    assert sent == [("a-run", "stop")]
