"""What an address may set, and what it may not."""

from __future__ import annotations

import pytest

from align_core.configs import resolve
from playground import links

HOSTILE = "<img src=x onerror=window.hacked=1> ${1+1} {{value}}"


@pytest.fixture(autouse=True)
def assets(fake_assets):
    pass


def test_an_address_without_settings_asks_for_nothing():
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
    pairs |= {"coverage": "sound,people", "pair_source": "pretrained"}
    changed = {"preference_pairs": 321, "label_noise": 0.25, "coverage": "people,sound"}
    expected = resolve("dpo", "reviews", pair_source="pretrained", **changed).model_dump()
    assert links.read(pairs) == expected


def test_what_is_left_out_is_the_default_of_task_and_method():
    assert links.read({"method": "sft"}) == resolve("sft", "reviews").model_dump()
    assert links.read({"beta": "2"}) == resolve("ppo", "reviews", beta=2.0).model_dump()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task", "../../etc"),
        ("task", HOSTILE),
        ("method", "PPO"),
        ("beta", "-1"),
        ("beta", "0"),  # only PPO can do without
        ("beta", "1001"),
        ("beta", "nan"),
        ("beta", "1e999"),
        ("steps", "0"),
        ("steps", "2.5"),
        ("steps", "1000001"),
        ("steps", "9" * 5000),
        ("seed", "4294967296"),
        ("eval_every", "inf"),
        ("learning_rate", HOSTILE),
        ("label_noise", ""),
        ("reward_model", "/etc/passwd"),
        ("reward_model", "gold"),  # DPO has none
        ("reward_model", "few"),
        ("lora_r", "true"),
        ("coverage", "film,<b>"),
        ("coverage", "Europe"),  # not of reviews
        ("coverage", ""),
        ("pair_source", "/etc/passwd"),
        ("pair_source", "sft-capitals"),
        ("whiten_advantages", "false"),  # DPO has none
        ("model", "someone/else"),
        ("preferences", "/etc/passwd"),
    ],
)
def test_what_a_run_would_refuse_is_passed_over_and_the_rest_is_kept(name, value):
    query = {"method": "dpo", "batch_size": "24", name: value}
    expected = resolve("ppo" if name == "method" else "dpo", "reviews", batch_size=24)
    assert links.read(query) == expected.model_dump()
