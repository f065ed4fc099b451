"""The settings that a link can set."""

from __future__ import annotations

import re

import pytest

from align_core.config import fields
from align_core.config.option_checks import has
from align_core.config.run_config import resolve
from align_core.runs import presets
from align_core.runs.client import Client
from playground import text
from playground.handlers import links
from playground.handlers.form import ADVANCED, NUMBERS, PREFERENCES
from playground.handlers.train import TrainHandlers

RANGES = {name: field.link_range for name, field in fields.SETTINGS.items() if field.link_range}
PRESETS = {name: presets.load(name).settings for name in presets.names()}
HOSTILE = "<img src=x onerror=window.hacked=1> ${1+1} {{value}}"


@pytest.fixture(autouse=True)
def assets(fake_assets):
    pass


def test_a_url_without_settings_gives_no_configuration():
    assert links.read({}) is None
    assert links.read({"present": "", "hide": "seed", "__theme": "dark", "x": "1"}) is None


def test_every_setting_can_be_linked_to():
    query = {"task": "capitals", "method": "ppo", "beta": "0.3", "steps": "40", "seed": "7"}
    query |= {"learning_rate": "0.0002", "batch_size": "64", "eval_every": "5", "lora_r": "4"}
    changed = {"beta": 0.3, "steps": 40, "seed": 7, "learning_rate": 2e-4, "batch_size": 64}
    changed |= {"eval_every": 5, "lora_r": 4, "reward_model": "gold"}
    expected = resolve("ppo", "capitals", **changed).model_dump()
    assert links.read(query | {"reward_model": "gold"}) == expected
    expected["reward_model"] = "reward-capitals-few"
    assert links.read(query | {"reward_model": "few"}) == expected
    assert links.read({"whiten_advantages": "false"})["whiten_advantages"] is False
    pairs = {"method": "dpo", "preference_pairs": "321", "label_noise": "0.25"}
    pairs |= {"coverage": "sound,people", "pair_source": "pretrained", "loss": "ipo"}
    changed = {"preference_pairs": 321, "label_noise": 0.25, "coverage": "people,sound"}
    changed |= {"loss": "ipo"}
    expected = resolve("dpo", "reviews", pair_source="pretrained", **changed).model_dump()
    assert links.read(pairs) == expected


def test_missing_settings_are_the_defaults_of_task_and_method():
    assert links.read({"method": "sft"}) == resolve("sft", "reviews").model_dump()
    assert links.read({"beta": "2"}) == resolve("ppo", "reviews", beta=2.0).model_dump()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task", "../../etc"),
        ("task", HOSTILE),
        ("method", "PPO"),
        ("beta", "nan"),
        ("beta", ""),
        ("steps", "many"),
        ("learning_rate", HOSTILE),
        ("label_noise", ""),
        ("seed", "0x7"),
        ("reward_model", "/etc/passwd"),
        ("reward_model", "gold"),  # DPO has none
        ("reward_model", "few"),
        ("lora_r", "true"),
        ("coverage", "film,<b>"),
        ("coverage", "Europe"),  # reviews has no such group
        ("coverage", ""),
        ("pair_source", "/etc/passwd"),
        ("pair_source", "sft-capitals"),
        ("whiten_advantages", "false"),  # DPO has none
        ("loss", HOSTILE),
        ("model", "someone/else"),
        ("preferences", "/etc/passwd"),
    ],
)
def test_invalid_values_are_ignored_and_others_kept(name, value):
    query = {"method": "dpo", "batch_size": "24", name: value}
    expected = resolve("ppo" if name == "method" else "dpo", "reviews", batch_size=24)
    assert links.read(query) == expected.model_dump()


@pytest.mark.parametrize(
    ("name", "value", "nearest"),
    [
        ("beta", "-1", 0.001),
        ("beta", "0", 0.001),  # only PPO allows 0
        ("beta", "1001", 1000),
        ("beta", "1e999", 1000),
        ("steps", "0", 1),
        ("steps", "2.6", 3),
        ("steps", "999999", fields.MAX_STEPS),
        ("steps", "9" * 5000, fields.MAX_STEPS),
        ("seed", "4294967296", 4294967295),
        ("seed", "-inf", 0),
        ("eval_every", "inf", fields.MAX_STEPS),
        ("eval_every", "-3", 1),
        ("learning_rate", "0", 1e-7),
        ("learning_rate", "2", 1),
        ("batch_size", "1000000", 512),
        ("preference_pairs", "100000", fields.MAX_PAIRS),
        ("label_noise", "0.7", 0.5),
        ("label_noise", "-0.1", 0),
        ("lora_r", "-1", 0),
        ("lora_r", "4096", 256),
    ],
)
def test_a_number_out_of_range_becomes_the_nearest_in_range(name, value, nearest):
    read = links.read({"method": "dpo", name: value})
    assert read == resolve("dpo", "reviews", **{name: nearest}).model_dump()
    assert links.out_of_range({name: value}, read) == ({} if value == "2.6" else {name: nearest})


def test_a_number_in_range_and_a_text_are_not_out_of_range():
    query = {"method": "dpo", "beta": "0.3", "steps": "40.4", "seed": "many", "lora_r": "nan"}
    query |= {"loss": "ipo", "learning_rate": "1e-4", "whiten_advantages": "true"}
    assert links.out_of_range(query, links.read(query)) == {}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_says_what_of_a_link_it_replaced(tmp_path, language):
    words = text.load(language)
    train = TrainHandlers(Client(tmp_path / "runs"), words)

    def errors(**query):
        return train.link_errors(query, links.read(query))

    assert errors(task="reviews", method="dpo", beta="0.3") == []
    ((field, line),) = errors(method="dpo", beta="5000", seed="1e12", learning_rate="1e-9")
    largest, smallest = RANGES["beta"][1], RANGES["learning_rate"][0]
    assert field == "" and all(f"{n:.12g}" in line for n in (largest, smallest, 4294967295))
    assert "\n" not in line and "{" not in line
    for task in ("own", "of_a_plugin", "/etc/passwd", HOSTILE):
        assert errors(task=task) == [["task", words["link"]["no_task"]]]


def test_reset_gives_the_settings_of_the_start(tmp_path):
    train = TrainHandlers(Client(tmp_path / "runs"), text.load("en"))
    given, first = train.reset({}), resolve("ppo", "reviews")
    assert (given["task"], given["method"]["value"]) == ("reviews", "ppo")
    for name in ("beta", *NUMBERS):
        assert given[name]["value"] == getattr(first, name)


def test_a_negative_beta_becomes_0_for_ppo():
    assert links.read({"method": "ppo", "beta": "-0.5"})["beta"] == 0
    assert links.read({"method": "ppo", "beta": "0.00001"})["beta"] == 0.001
    assert links.read({"method": "sft", "beta": "-1"}) == resolve("sft", "reviews").model_dump()


def test_every_number_has_a_range_whose_ends_a_run_accepts():
    assert set(RANGES) == {"beta", *NUMBERS, *PREFERENCES, *ADVANCED}
    for name, ends in RANGES.items():
        for end in ends:
            method = next(one for one in ("dpo", "rloo", "simpo", "orpo") if has(one, name))
            assert getattr(resolve(method, "reviews", **{name: end}), name) == end


@pytest.mark.parametrize("preset", PRESETS)
def test_a_link_can_have_the_settings_of_a_preset(preset):
    for name in RANGES.keys() & PRESETS[preset].keys():
        value = PRESETS[preset][name]
        read = links.read({"method": PRESETS[preset]["method"], name: str(value)})
        assert read[name] == value


def test_the_button_shows_the_duration_of_the_longest_run_of_a_link(tmp_path, monkeypatch):
    monkeypatch.undo()  # estimates use the recorded runs of the presets
    handlers = TrainHandlers(Client(tmp_path), text.load("en"))
    for method in ("ppo", "dpo"):
        config = links.read({"method": method, "steps": "999999"})
        values = {**config, "reward_model": "proxy", "pair_source": "reference"}
        label = handlers.run_label({**values, "pace": 0.0})["run"]["value"]
        minutes = int(re.search(r"about (\d+) min", label)[1])
        assert 1 < minutes < 120
