"""The configuration of a run: defaults, the options that reach it, and what may change."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from align_core.config.errors import ConfigError
from align_core.config.fields import declared
from align_core.config.methods import methods, methods_with
from align_core.config.run_config import RunConfig, resolve, revise
from align_core.config.task_card import BUILT_IN, card
from tests.config.refusals import OWN, lines

pytestmark = pytest.mark.usefixtures("fake_assets")


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


def test_a_missing_setting_is_validated_where_its_default_depends_on_the_method():
    class Settings(BaseModel):
        coverage: bool = declared("coverage", "a group")
        freeze_trunk: bool = declared("freeze_trunk", "perhaps")
        loss: bool = declared("loss", "a choice")
        steps: bool = declared("steps", "many")

    with pytest.raises(ValidationError) as error:
        Settings()
    assert [one["loc"] for one in error.value.errors()] == [
        *(("coverage",), ("freeze_trunk",), ("loss",))
    ]


def test_the_name_of_a_model_has_one_letter_or_more():
    config = resolve("dpo", "reviews").model_dump()
    assert RunConfig(**config | {"model": "m"}).model == "m"
    with pytest.raises(ValidationError, match="at least 1 character"):
        RunConfig(**config | {"model": ""})


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
