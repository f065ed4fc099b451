"""Refused values of a configuration, with one line for each error."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from align_core.config.errors import ConfigError, flag, shown
from align_core.config.methods import DPO_LOSSES, methods, methods_with
from align_core.config.run_config import resolve
from align_core.config.task_card import TaskCard, card, forget, register
from tests.config.refusals import OWN, lines

pytestmark = pytest.mark.usefixtures("fake_assets")


@pytest.mark.parametrize("text", ["Atlantis", "Europe,Atlantis", "europe", "all,Europe", "", ","])
def test_an_unknown_group_is_refused_with_the_known_ones(text):
    (line,) = lines("dpo", "capitals", coverage=text)
    assert line.startswith(f"--coverage got {text!r}, expected 'all', or groups of prompts")
    assert ", ".join(card("capitals").groups) in line
    (line,) = lines("reward", "reviews", coverage="Europe")
    assert ", ".join(card("reviews").groups) in line


def test_a_loss_that_a_method_has_not_is_refused_with_those_that_it_has():
    assert resolve("dpo", "reviews", loss="ipo").loss == "ipo"
    assert resolve("dpo", "reviews").loss == "sigmoid"
    (line,) = lines("dpo", loss="ipoo")
    assert line == f"--loss got 'ipoo', expected one of {', '.join(DPO_LOSSES)}"
    (line,) = lines("ppo", loss="ipo")
    assert line == "--loss got 'ipo'; ppo has no such option, only dpo and grpo"


@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_a_batch_is_whole_groups_of_two_texts_or_more(method):
    assert resolve(method, "reviews", batch_size=24, group_size=8).group_size == 8
    (line,) = lines(method, group_size=1)
    assert line == "--group-size got 1, expected a whole number of texts per prompt from 2 to 64"
    (line,) = lines(method, batch_size=126)
    assert line == "--group-size got 4, expected a divisor of --batch-size, 126"


def test_kto_compares_texts_of_a_batch():
    assert resolve("kto", "reviews", batch_size=2).batch_size == 2
    (line,) = lines("kto", batch_size=1)
    assert line.startswith("--batch-size got 1, expected 2 or more: the texts of a batch")
    (line,) = lines("kto", steps=0)
    assert line.startswith("--steps got 0, expected ")


@pytest.mark.parametrize("option", ["beta", "learning_rate", "steps", "batch_size", "eval_every"])
@pytest.mark.parametrize("value", [-1, "-0.5", math.nan, "nan", math.inf, "-inf", "many", "", True])
def test_numbers_out_of_range(option, value):
    (line,) = lines(**{option: value})
    assert line.startswith(f"{flag(option)} got ")
    assert ", expected a" in line


@pytest.mark.parametrize("option", ["learning_rate", "steps", "batch_size", "time_limit"])
def test_zero_is_refused(option):
    (line,) = lines(**{option: 0})
    assert line.startswith(f"{flag(option)} got 0, expected")


def test_zero_beta_is_for_ppo_alone():
    assert resolve("ppo", "reviews", beta=0).beta == 0
    (line,) = lines("dpo", beta=0)
    assert "--beta got 0, expected a number above 0" in line


@pytest.mark.parametrize(
    ("option", "value"),
    [("label_noise", 0.51), ("label_noise", -0.1), ("seed", -1), ("seed", 1.5), ("lora_r", -1)],
)
def test_other_ranges(option, value):
    (line,) = lines("dpo", **{option: value})
    assert line.startswith(f"{flag(option)} got {value}, expected")


def test_all_errors_are_reported_together():
    messages = lines("pp", "review", beta=-1, steps="x", model="nothing-like-it", wings=2)
    assert [line.split()[0] for line in messages] == [
        "METHOD",
        "--task",
        "--beta",
        "--steps",
        "--wings",
        "--model",
    ]
    assert "sft, reward, ppo, dpo" in messages[0]
    assert "reviews, capitals" in messages[1]


def test_a_configuration_without_any_setting_is_refused():
    messages = lines(None, None)
    assert messages[0].startswith("METHOD got nothing, expected one of sft")
    assert messages[1].startswith("--task got nothing, expected one of reviews")
    assert len(messages) == 2


@pytest.mark.parametrize("option", OWN)
def test_an_option_of_another_method_is_refused(option):
    method = next(method for method in methods() if method not in methods_with(option))
    messages = lines(method, **{option: True if option == "freeze_trunk" else "0.1"})
    assert any(line.startswith(flag(option)) and "no such option" in line for line in messages)


def test_models_of_the_wrong_kind():
    (line,) = lines(model="reward-reviews")
    assert line.startswith("--model got 'reward-reviews', expected a language model")
    (line,) = lines(reward_model="sft-reviews")
    assert line.startswith("--reward-model got 'sft-reviews', expected a reward model")


@pytest.fixture
def poems():
    """A task without code, demonstrations and gold reward, and one that has no reference, too."""
    poems = TaskCard("poems", "Poems", "In verse.", "sft-reviews", demonstrations=False,
                     has_gold=False, folder="/tasks/poems")  # fmt: skip
    odes = replace(poems, title="Odes", reference=None, folder="/tasks/odes")
    for known in (poems, odes):
        register(known)
    yield poems.full_name, odes.full_name
    for known in (poems, odes):
        forget(known.full_name)


def test_missing_members_of_a_task(poems):
    task, without_reference = poems
    (line,) = lines("sft", task)
    assert (
        line == "METHOD got 'sft', expected a method that needs no demonstrations: Poems has none"
    )
    (line,) = lines("ppo", task)
    assert line == (
        "--reward-model got 'gold', expected a reward model: Poems has no reward of its own"
    )
    (line,) = lines("dpo", task, pair_source="pretrained")
    assert line == (
        "--pair-source got 'pretrained', expected no value: "
        "Poems has no reward to label new pairs with"
    )
    with pytest.raises(ConfigError) as error:
        resolve("dpo", without_reference)
    (message,) = error.value.lines
    assert message.text.startswith("--model got nothing, expected an embedded model, ")
    assert message.text.endswith(": Odes has no reference to start from")
    assert message.code == "model"
    assert resolve("dpo", without_reference, model="pretrained").model == "pretrained"


def test_a_task_that_nobody_has_named():
    with pytest.raises(ConfigError) as error:
        resolve("dpo", "/tasks/sonnets")
    (message,) = error.value.lines
    assert message.text.startswith("--task got '/tasks/sonnets', expected one of reviews, ")
    assert message.code == "task"
    with pytest.raises(ConfigError) as error:
        resolve("dpo", "my.tasks:Odes")
    (message,) = error.value.lines
    assert message.text.startswith("--task got nothing, expected 'my.tasks:Odes' to be named, ")
    assert (message.code, message.values["task"]) == ("unnamed_task", "my.tasks:Odes")


def test_a_refused_choice_names_the_choices_of_its_method():
    with pytest.raises(ConfigError) as error:
        resolve("grpo", "reviews", loss="sigmoid")
    (message,) = error.value.lines
    assert (message.code, message.values["choices"]) == ("loss", "dapo, grpo, dr_grpo")
    with pytest.raises(ConfigError) as error:
        resolve("grpo", "reviews", steps=0)
    assert "choices" not in error.value.lines[0].values


def test_a_reward_is_no_path(tmp_path, monkeypatch):
    """A misspecified reward of the task comes before a folder of the same name."""
    (tmp_path / "words").mkdir()
    monkeypatch.chdir(tmp_path)
    config = resolve("ppo", "manners", model="sft-reviews", reward_model="words")
    assert config.reward_model == "words"


def test_a_missing_preference_file():
    (line,) = lines("dpo", preferences="nowhere.jsonl")
    assert line.startswith("--preferences got 'nowhere.jsonl', expected")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "/", "m", ""])
def test_invalid_model_names(name):
    (line,) = lines(model=name)
    assert line.startswith(f"--model got {shown(name)}, expected an embedded model, ")


def test_values_of_the_wrong_type():
    assert [line.split()[0] for line in lines(["ppo"], {}, model=3)] == [
        "METHOD",
        "--task",
        "--model",
    ]


def test_long_and_broken_values_stay_on_one_short_line():
    (line,) = lines(task="x\n" * 500)
    assert len(line) < 200


def refused(method="ppo", task="reviews", **options):
    """The code and the values of the only message."""
    with pytest.raises(ConfigError) as error:
        resolve(method, task, **options)
    (message,) = error.value.lines
    return message.code, message.values


def test_a_page_can_translate_each_refusal(tmp_path):
    foreign = {"option": "--beta", "got": "0.5", "method": "sft"}
    foreign["methods"] = ", ".join(methods_with("beta"))
    assert refused("sft", beta=0.5) == ("foreign", foreign)
    (tmp_path / "pairs.jsonl").touch()
    file = {"preferences": str(tmp_path / "pairs.jsonl")}
    as_it_is = {"option": "--coverage", "got": "'film'"}
    assert refused("dpo", coverage="film", **file) == ("as_it_is", as_it_is)
    uneven = {"option": "--group-size", "got": "4", "batch_size": 126}
    assert refused("rloo", batch_size=126) == ("uneven", uneven)
    lone = {"option": "--batch-size", "got": "1"}
    assert refused("kto", batch_size=1) == ("lone_text", lone)
    model = {"option": "--model", "got": "'reward-reviews'"}
    assert refused("dpo", model="reward-reviews") == ("model_that_writes", model)
    scores = {"option": "--reward-model", "got": "'sft-reviews'"}
    assert refused(reward_model="sft-reviews") == ("model_that_scores", scores)
    assert refused(wings=2) == ("no_such_option", {"option": "--wings", "got": "2"})
