from __future__ import annotations

import math
from dataclasses import replace

import pytest
from pydantic import ValidationError

from align_core.config.errors import ConfigError, flag, shown
from align_core.config.methods import DPO_LOSSES, methods, methods_with
from align_core.config.run_config import (
    RunConfig,
    resolve,
    revise,
)
from align_core.config.task_card import BUILT_IN, TaskCard, card, forget, register

OWN = [
    option for option in RunConfig.model_fields if 0 < len(methods_with(option)) < len(methods())
]

pytestmark = pytest.mark.usefixtures("fake_assets")


def lines(method="ppo", task="reviews", **options):
    with pytest.raises(ConfigError) as error:
        resolve(method, task, **options)
    messages = [line.text for line in error.value.lines]
    assert all("\n" not in line for line in messages)
    return messages


@pytest.mark.parametrize("method", methods())
@pytest.mark.parametrize("task", BUILT_IN)
def test_defaults_of_every_method_and_task(method, task):
    config = resolve(method, task)
    assert (config.method, config.task, config.seed) == (method, task, 0)
    assert config.model == ("pretrained" if method == "sft" else f"sft-{task}")
    on_rollouts = methods()[method].learns_from == "rollouts"
    assert config.reward_model == (f"reward-{task}" if on_rollouts else None)
    for option in OWN:
        has_default = option not in ("preferences", "freeze_trunk", "pair_source")
        value = getattr(config, option)
        has_it = method in methods_with(option)
        assert (value is not None and value is not False) == (has_default and has_it)


def test_every_option_reaches_the_configuration(tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.touch()
    options = {
        "model": "sft-capitals",
        "preferences": str(file),
        "preference_pairs": 9,
        "label_noise": 0.2,
        "beta": 0.3,
        "steps": 7,
        "learning_rate": 0.02,
        "batch_size": 3,
        "seed": 11,
        "eval_every": 2,
        "eval_prompts": 5,
        "eval_samples": 6,
        "lora_r": 4,
        "lora_layers": 3,
        "precision": "bfloat16",
        "device": "cpu",
        "time_limit": 5.0,
    }
    assert resolve("dpo", "reviews", **options).model_dump(include=set(options)) == options
    assert resolve("ppo", "reviews", reward_model="gold").reward_model == "gold"
    assert resolve("reward", "reviews", freeze_trunk=True).freeze_trunk


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("all", "all"),
        ("Europe", "Europe"),
        ("South America, Africa,Africa", "Africa,South America"),  # sorted, each once
        (",".join(card("capitals").groups[::-1]), "all"),
    ],
)
def test_a_coverage_has_one_spelling(text, resolved):
    assert resolve("dpo", "capitals", coverage=text).coverage == resolved


@pytest.mark.parametrize("text", ["Atlantis", "Europe,Atlantis", "europe", "all,Europe", "", ","])
def test_an_unknown_group_is_refused_with_the_known_ones(text):
    (line,) = lines("dpo", "capitals", coverage=text)
    assert line.startswith(f"--coverage got {text!r}, expected 'all', or groups of prompts")
    assert ", ".join(card("capitals").groups) in line
    (line,) = lines("reward", "reviews", coverage="Europe")
    assert ", ".join(card("reviews").groups) in line


def test_the_groups_are_those_of_the_tasks():
    from align_core.tasks import load_task

    for task in BUILT_IN:
        prompts = load_task(task).prompts("train")
        assert set(map(load_task(task).group, prompts)) == set(card(task).groups)


def test_pairs_of_another_model(fake_assets):
    assert resolve("dpo", "reviews", pair_source="pretrained").pair_source == "pretrained"
    (line,) = lines("dpo", pair_source="reward-reviews")
    assert line.startswith("--pair-source got 'reward-reviews', expected a language model")


def test_a_file_of_pairs_is_used_unchanged(tmp_path):
    (tmp_path / "pairs.jsonl").touch()
    file = str(tmp_path / "pairs.jsonl")
    assert resolve("dpo", "reviews", preferences=file, coverage="all").coverage == "all"
    messages = lines("dpo", preferences=file, coverage="film", pair_source="pretrained")
    assert messages == [
        "--coverage got 'film'; a file of --preferences is used as it is",
        "--pair-source got 'pretrained'; a file of --preferences is used as it is",
    ]


def test_advantages_are_normalised_by_default():
    assert resolve("ppo", "reviews").whiten_advantages is True
    assert resolve("ppo", "reviews", whiten_advantages=False).whiten_advantages is False
    (line,) = lines("dpo", whiten_advantages=False)
    assert line == "--whiten-advantages got False; dpo has no such option, only ppo"


@pytest.mark.parametrize("method", methods())
def test_an_old_run_without_a_setting_has_the_former_behaviour(method):
    config = resolve(method, "reviews")
    since = {"coverage", "pair_source", "whiten_advantages", "loss"}
    assert RunConfig(**config.model_dump(exclude=since)) == config


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
    assert line == "--group-size got 1, expected a whole number of texts a prompt from 2 to 64"
    (line,) = lines(method, batch_size=126)
    assert line == "--group-size got 4, expected a divisor of --batch-size, 126"


def test_kto_compares_texts_of_a_batch():
    assert resolve("kto", "reviews", batch_size=2).batch_size == 2
    (line,) = lines("kto", batch_size=1)
    assert line.startswith("--batch-size got 1, expected 2 or more: the texts of a batch")


def test_a_method_without_its_own_defaults_on_a_task_has_those_of_the_one_like_it():
    assert resolve("rloo", "capitals").steps == resolve("ppo", "capitals").steps == 64
    assert (resolve("rloo", "manners").lora_r, resolve("rloo", "manners").batch_size) == (16, 32)
    assert resolve("rloo", "reviews").beta == 0.7 and resolve("rloo", "capitals").beta == 0.5


def test_text_from_a_command_line_is_read_as_numbers():
    config = resolve("ppo", "reviews", beta="0", steps="12", learning_rate="1e-4", seed="0")
    assert (config.beta, config.steps, config.learning_rate, config.seed) == (0.0, 12, 1e-4, 0)


def test_a_file_of_pairs_is_used_whole_unless_a_number_is_given(tmp_path):
    (tmp_path / "pairs.jsonl").touch()
    config = resolve("dpo", "reviews", preferences=str(tmp_path / "pairs.jsonl"))
    assert config.preference_pairs is None


def test_paths_are_stored_absolute(tmp_path, fake_assets, monkeypatch):
    monkeypatch.chdir(fake_assets / "models")
    config = resolve("ppo", "reviews", model="./sft-reviews")
    assert config.model == str(fake_assets / "models" / "sft-reviews")


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


def test_how_a_run_is_computed():
    (line,) = lines("dpo", lora_layers=3)
    assert line == (
        "--lora-layers got 3, expected a whole number of layers, 1 or more; it needs --lora-r"
    )
    (line,) = lines("dpo", lora_r=4, lora_layers=0)
    assert line.startswith("--lora-layers got 0, expected a whole number of layers, 1 or more")
    assert resolve("dpo", "reviews", lora_r=4, lora_layers=1).lora_layers == 1
    (line,) = lines("dpo", precision="float16")
    assert line == "--precision got 'float16', expected 'float32' or 'bfloat16'"
    (line,) = lines("dpo", device="mps")
    assert line == "--device got 'mps', expected 'cpu' or 'cuda'"


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


def test_configurations_are_frozen_and_refuse_unknown_keys():
    config = resolve("ppo", "reviews")
    with pytest.raises(ValidationError):
        config.beta = 2
    with pytest.raises(ValidationError):
        RunConfig(**config.model_dump(), wings=2)


def test_revise_checks_the_changed_settings():
    config = resolve("dpo", "reviews")
    assert revise(config, beta="0.3").beta == 0.3
    with pytest.raises(ConfigError, match="--beta got 0") as error:
        revise(config, beta=0, learning_rate=-1)
    assert len(error.value.lines) == 2


def test_only_settings_of_the_method_can_change():
    with pytest.raises(ConfigError, match="--beta got 0.3; sft has no such option, only ppo, dpo"):
        revise(resolve("sft", "reviews"), beta=0.3)


@pytest.mark.parametrize("delay", [-0.1, 10.1, float("nan"), "slow", True])
def test_a_delay_is_a_few_seconds(delay):
    with pytest.raises(ConfigError, match="^--delay got .*, expected a number of seconds from 0"):
        revise(resolve("sft", "reviews"), delay=delay)
    assert revise(resolve("sft", "reviews"), delay="10").delay == 10
