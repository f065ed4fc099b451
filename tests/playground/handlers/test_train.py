"""Requests of the Train view, without a browser or a worker process."""

from __future__ import annotations

import math

import gradio as gr
import pytest

from align_core.config.errors import ConfigError
from align_core.config.methods import methods
from align_core.config.option_checks import has
from align_core.config.run_config import resolve
from align_core.config.task_card import card
from align_core.runs.child_process import start_message
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground import text
from playground.content.new_events import Cursor
from playground.handlers.form import ADVANCED, NUMBERS, SETTINGS
from playground.handlers.train import TrainHandlers

WORDS = text.load("en")


@pytest.fixture
def client(tmp_path, fake_assets):
    return Client(tmp_path / "runs")


@pytest.fixture
def handlers(client):
    return TrainHandlers(client, WORDS)


def recorded(client, name="2026-01-02-030405-dpo-capitals", **options):
    """A finished run in the client's root."""
    run = RunDirectory.create(client.root / name, resolve("dpo", "capitals", **options))
    run.append({"kind": "status", "step": 0, "seconds": 0.1, "status": "running", "message": ""})
    run.append({"kind": "metrics", "step": 1, "seconds": 0.2, "metrics": {"eval/kl": 0.25}})
    run.append({"kind": "status", "step": 1, "seconds": 0.3, "status": "finished", "message": ""})
    run.close()
    return name


def form_values(method="dpo", task="reviews", pace=0.0, **changes):
    """The controls' values for a default DPO run on reviews, with `changes`."""
    values = {
        **resolve(method, task).model_dump(),
        "coverage": [*card(task).groups],
        **changes,
    }
    controls = {name: values[name] for name in SETTINGS}
    return {"pace": pace, "task": task, "method": method, **controls}


def started(handlers, values):
    """The new run, and the errors."""
    answer = handlers.start(values)
    assert answer.keys() == {"live", "errors"}
    return answer["live"]["run"], answer["errors"]


def test_a_choice_brings_its_explanations_and_defaults(handlers):
    controls = handlers.choose({"task": "capitals", "method": "dpo"})
    config = resolve("dpo", "capitals").model_dump()
    assert controls["task_explanation"] == WORDS["tasks"]["capitals"]["explanation"]
    assert controls["method_explanation"] == WORDS["methods"]["dpo"]["explanation"]
    for name in ("beta", *NUMBERS, *ADVANCED):
        assert (controls[name]["value"], controls[name]["visible"]) == (
            config[name],
            has("dpo", name),
        )
    assert controls["reward_model"]["visible"] is False
    assert controls["picture"] == {"task": "capitals", "method": "dpo", "loss": "sigmoid"}


@pytest.mark.parametrize("method", methods())
def test_a_setting_is_shown_if_the_method_has_it(handlers, method):
    controls = handlers.choose({"task": "reviews", "method": method})
    shown = {name for name in SETTINGS if controls[name]["visible"] is True}
    assert shown == {name for name in SETTINGS if has(method, name)}


def test_only_ppo_allows_beta_0(handlers):
    for method, zero in (("ppo", True), ("dpo", False)):
        assert handlers.choose({"task": "reviews", "method": method})["beta"]["zero"] is zero


def test_a_first_visit_gets_the_first_run(handlers):
    first = handlers.restore()
    assert (first["task"], first["method"]["value"]) == ("reviews", "ppo")
    assert handlers.live.delta(Cursor.of({"run": None, "offset": 0})) == {"run": None}


def test_a_later_visit_gets_the_settings_of_the_run_it_is_shown(handlers, client):
    recorded(client, beta=0.125, seed=7)
    controls = handlers.restore()
    assert (controls["task"], controls["method"]["value"]) == ("capitals", "dpo")
    assert (controls["beta"]["value"], controls["seed"]["value"]) == (0.125, 7)


def test_a_reload_restores_the_last_settings(handlers, client):
    run = RunDirectory(client.root / recorded(client, beta=0.125))
    for step, settings in ((3, {"beta": 0.5}), (4, {"learning_rate": 2e-4}), (8, {"beta": 0.25})):
        run.append({"kind": "change", "step": step, "seconds": step, "settings": settings})
    controls = handlers.restore()
    assert (controls["beta"]["value"], controls["learning_rate"]["value"]) == (0.25, 2e-4)
    run.append({"kind": "resume", "step": 5, "seconds": 0.0})
    run.close()
    assert handlers.restore()["beta"]["value"] == 0.5, "events after step 5 are void"


def test_a_page_gets_a_new_run_completely_and_then_by_deltas(handlers, client):
    name = recorded(client)
    first = handlers.live.delta(Cursor.of({"run": None, "offset": 0}))
    assert (first["run"], first["config"]["task"]) == (name, "capitals")
    assert first["points"] == {"eval/kl": [[1, 0.25]]}
    assert first["status"]["name"] == "finished"
    again = handlers.live.delta(Cursor.of({"run": name, "offset": first["offset"]}))
    assert again["config"] is None
    assert again["points"] == {}
    assert again["offset"] == first["offset"]


def test_an_invalid_cursor_starts_from_the_beginning(handlers, client):
    name = recorded(client)
    offsets = (-5, "<b>", 10**30, 0.5, math.nan, None, {}, [])
    cursors = [{"run": name, "offset": offset} for offset in offsets]
    cursors += [{"run": run, "offset": 0} for run in ("../../etc", 7, None, [name], {})]
    cursors += [{}, None, 7, "x", [], [[name, 0]], {"elapsed": 10**400}, {"chosen": []}]
    for cursor in cursors:
        assert handlers.live.delta(Cursor.of(cursor))["points"] == {"eval/kl": [[1, 0.25]]}, cursor


def test_every_bad_number_gets_its_line_and_its_field(handlers):
    errors = {"beta": -1, "steps": None, "learning_rate": math.inf, "seed": 1.5}
    run, refused = started(handlers, form_values(**errors))
    assert run is None
    assert [field for field, _ in refused] == ["beta", "steps", "learning_rate", "seed"]
    lines = [line for _, line in refused]
    assert lines[0].startswith("β (beta) must be a number above 0")
    assert lines[0].endswith("(you entered -1).")
    assert lines[1].startswith("Steps must be a whole number")
    assert lines[2].startswith("Learning rate must be a number")
    assert lines[3].startswith("Seed must be a whole number")


@pytest.mark.parametrize("method", methods())
def test_only_settings_of_the_method_are_sent(handlers, client, monkeypatch, method):
    sent = {}
    monkeypatch.setattr(client, "start", lambda **options: sent.update(options) or "a-run")
    monkeypatch.setattr(client, "send", lambda *command, **change: None)
    config = resolve(method, "reviews").model_dump()
    settings = {name: config[name] for name in SETTINGS}
    values = {"pace": 0.0, "task": "reviews", "method": method, **settings}
    assert started(handlers, values)[0] == "a-run"
    assert resolve(**sent).model_dump() == config
    assert set(sent) - {"task", "method"} == {name for name in SETTINGS if has(method, name)} - {
        "reward_model",
        "pair_source",
    }


def test_every_control_reaches_the_configuration_of_the_run(handlers, client, monkeypatch):
    sent = {}
    monkeypatch.setattr(client, "start", lambda **options: sent.update(options) or "a-run")
    monkeypatch.setattr(client, "send", lambda *command, **change: None)
    changes_by_method = {
        "ppo": {"beta": 0.31, "steps": 17, "learning_rate": 2e-4, "seed": 5, "batch_size": 48,
                "eval_every": 7, "lora_r": 4, "reward_model": "gold", "whiten_advantages": False},
        "dpo": {"preference_pairs": 321, "label_noise": 0.25, "pair_source": "pretrained",
                "coverage": ["Asia", "Africa"], "loss": "ipo"},
        "simpo": {"scale": 3.0, "margin": 0.5},
        "orpo": {"odds_weight": 0.2},
        "grpo": {"group_size": 8, "scale_rewards": "none", "importance": "sequence"},
    }  # fmt: skip
    for method, changes in changes_by_method.items():
        sent.clear()
        handlers.start(form_values(method, "capitals", **{"reward_model": "proxy", **changes}))
        config = resolve(**sent).model_dump()
        if "coverage" in changes:
            changes["coverage"] = "Africa,Asia"
        assert {name: config[name] for name in changes} == changes
    assert {name for changes in changes_by_method.values() for name in changes} == set(SETTINGS)


def test_the_groups_that_a_run_covers_are_ticked(handlers, client):
    ticked = handlers.choose({"task": "capitals", "method": "dpo"})["coverage"]
    assert ticked["value"] == [name for _, name in ticked["choices"]] == [*card("capitals").groups]
    recorded(client, coverage="Asia,Europe", pair_source="pretrained")
    restored = handlers.restore()
    assert restored["coverage"]["value"] == ["Asia", "Europe"]
    assert restored["pair_source"]["value"] == "pretrained"


def test_an_empty_choice_of_groups_is_reported_at_its_control(handlers):
    run, ((field, line),) = started(handlers, form_values(coverage=[]))
    assert (run, field) == (None, "coverage")
    takes = WORDS["errors"]["takes"]["coverage"]
    assert line == f"{WORDS['controls']['coverage']} must be {takes} (you entered '')."


def test_a_second_run_of_the_same_visitor_is_refused_in_plain_words(handlers, client, monkeypatch):
    run = recorded(client)
    monkeypatch.setattr(client, "live", lambda: [run])
    _, refused = started(handlers, form_values())
    assert refused == [["", WORDS["visitors"]["one_each"]]]


def test_commands_reach_only_a_live_run(handlers, client, monkeypatch):
    sent = []
    monkeypatch.setattr(client, "send", lambda *command: sent.append(command))
    handlers.command("stop")
    monkeypatch.setattr(client, "live", lambda: ["a-run"])
    handlers.command("stop")
    assert sent == [("a-run", "stop")]


def test_beta_is_changed_in_a_live_run_of_the_same_task_and_method(handlers, client, monkeypatch):
    name, sent = recorded(client), []
    monkeypatch.setattr(client, "send", lambda *command, **change: sent.append((command, change)))
    values = {"task": "capitals", "method": "dpo", "beta": 0.3, "live": None}
    as_they_are = {"errors": gr.skip()}
    assert handlers.set_live("beta", values) == as_they_are
    assert sent == []  # no run is live
    monkeypatch.setattr(client, "live", lambda: [name])
    for task, method in (("reviews", "dpo"), ("capitals", "ppo")):
        controls = {**values, "task": task, "method": method}
        assert handlers.set_live("beta", controls) == as_they_are
    assert sent == []  # the controls describe another run
    assert handlers.set_live("beta", values) == {"errors": []}
    assert sent == [((name, "set"), {"beta": 0.3})]


def test_a_beta_out_of_range_is_reported_and_not_sent(handlers, client, monkeypatch):
    name = recorded(client)
    monkeypatch.setattr(client, "live", lambda: [name])
    values = {"task": "capitals", "method": "dpo", "beta": -1.0, "live": None}
    ((field, line),) = handlers.set_live("beta", values)["errors"]
    assert field == "beta"
    assert line.startswith("β (beta) must be a number above 0")


def test_the_pace_is_sent_to_a_new_run_and_to_a_live_one(handlers, client, monkeypatch):
    sent = []
    monkeypatch.setattr(client, "start", lambda **options: "a-run")
    monkeypatch.setattr(client, "send", lambda *command, **change: sent.append((command, change)))
    handlers.start(form_values(pace=0.5))
    handlers.set_pace({"pace": 2.0, "live": None})
    monkeypatch.setattr(client, "live", lambda: ["a-run"])
    handlers.set_pace({"pace": 2.0, "live": None})
    assert sent == [(("a-run", "set"), {"delay": 0.5}), (("a-run", "set"), {"delay": 2.0})]


def test_the_run_button_shows_an_estimate_if_one_is_known(handlers, client, monkeypatch):
    label = WORDS["controls"]["run"]
    # No similar run to estimate from.
    assert handlers.run_label(form_values())["run"]["value"] == label
    monkeypatch.setattr(client, "estimate", lambda **options: 61.7)
    assert handlers.run_label(form_values())["run"]["value"] == f"{label} · about 62 s"
    monkeypatch.setattr(client, "estimate", lambda **options: 200.0)
    assert handlers.run_label(form_values())["run"]["value"] == f"{label} · about 3 min"
    monkeypatch.setattr(client, "estimate", lambda delay, **options: 50.0 + 9 * delay)
    assert handlers.run_label(form_values(pace=2.0))["run"]["value"] == f"{label} · about 68 s"
    monkeypatch.undo()
    assert handlers.run_label(form_values(beta=-1))["run"]["value"] == label


def test_a_run_comes_with_its_summary(handlers, client):
    recorded(client)
    summary = handlers.live.delta(Cursor.of({"run": None, "offset": 0}))["summary"]
    assert [tone for tone, _ in summary["sentences"]]
    assert summary["time_left"] == "0 s"


def test_a_page_has_news_if_it_has_not_read_the_whole_log(handlers, client, monkeypatch):
    name = recorded(client)
    read = handlers.live.delta(Cursor())["offset"]
    assert handlers.live.end_offset(name) == read > 0
    # Its folder was deleted.
    assert handlers.live.end_offset("2026-01-02-030405-dpo-reviews") == math.inf
    monkeypatch.setattr(client, "live", lambda: ["another"])
    assert handlers.live.end_offset(name) > read


@pytest.mark.parametrize("language", text.languages())
def test_a_run_whose_process_cannot_be_started_says_so(client, monkeypatch, language):
    def fail(**options):
        raise ConfigError(start_message(OSError(12, "no memory")))

    words = text.load(language)
    monkeypatch.setattr(client, "start", fail)
    run, refused = started(TrainHandlers(client, words), form_values())
    line = words["errors"]["says"]["not_started"].format(error="[Errno 12] no memory")
    assert (run, refused) == (None, [["", line]])
