"""The default numbers of a run, and the ranges of given ones."""

from __future__ import annotations

import inspect
import re

import pytest
from pydantic import TypeAdapter, ValidationError

from align_core import optimum
from align_core.config import environment, fields, model_files
from align_core.config.errors import ConfigError
from align_core.config.fields import SETTINGS
from align_core.config.methods import PPO_EPOCHS, Chart, Curve, methods, ppo_minibatches
from align_core.config.run_config import LiveConfig, RunConfig, defaults, resolve, revise
from align_core.config.task_card import NAMES, known_card
from align_core.evaluation import (
    intervals,
    learned_optimum,
    optimum_distance,
    preparation,
    prepare_process,
    reference_samples,
    stored_texts,
)
from align_core.evaluation.evaluator import Evaluator
from align_core.evaluation.pair_accuracy import pair_accuracy
from align_core.runs import (
    child_process,
    client,
    directory,
    durations,
    forkserver,
    index,
    machine_speed,
    preset_checks,
    stored_config,
)
from align_core.trainers import dpo, online_dpo, rejection, reward, sft, texts
from align_core.trainers.ppo import build, prompts, samples, scores
from align_core.votes import (
    pair_selection,
    preference_files,
    session,
    session_checks,
    sqlite_writer,
    statistics,
)
from align_core.votes.simulated_raters import CROWDS, LOUD_SHARE, RATERS, Rater

DEFAULTS = {  # steps, learning rate, batch size, steps between evaluations, and the method's own
    ("sft", "reviews"): (240, 5e-4, 32, 20, {}),
    ("sft", "capitals"): (240, 5e-4, 32, 20, {}),
    ("reward", "reviews"): (60, 1e-3, 64, 10, {"preference_pairs": 2000, "label_noise": 0}),
    ("reward", "capitals"): (66, 1e-3, 64, 22, {"preference_pairs": 4000, "label_noise": 0}),
    ("ppo", "reviews"): (60, 4e-4, 128, 10, {"beta": 0.7}),
    ("ppo", "capitals"): (64, 4e-4, 128, 16, {"beta": 0.5}),
    ("dpo", "reviews"): (250, 4e-4, 16, 63, {"beta": 0.5, "preference_pairs": 4000}),
    ("dpo", "capitals"): (96, 4e-4, 32, 16, {"beta": 0.5, "preference_pairs": 3200}),
    ("reward", "manners"): (40, 1e-3, 16, 10, {"preference_pairs": 640, "lora_r": 16}),
    ("ppo", "manners"): (40, 4e-4, 32, 10, {"beta": 0.5, "lora_r": 16}),
    ("rloo", "reviews"): (60, 4e-4, 128, 10, {"beta": 0.7, "group_size": 4}),
    ("rloo", "capitals"): (64, 4e-4, 128, 16, {"beta": 0.5, "group_size": 4}),
    ("grpo", "reviews"): (60, 4e-4, 128, 10, {"beta": 0.3, "group_size": 4}),
    ("online-dpo", "reviews"): (60, 4e-4, 64, 10, {"beta": 0.5}),
    ("online-dpo", "capitals"): (96, 4e-4, 32, 16, {"beta": 0.5}),
    ("rejection", "reviews"): (60, 1e-3, 128, 10, {"group_size": 4}),
    ("rejection", "capitals"): (64, 1e-3, 128, 16, {"group_size": 4}),
    ("kto", "reviews"): (125, 4e-4, 64, 25, {"beta": 0.5, "preference_pairs": 4000}),
    ("kto", "capitals"): (96, 4e-4, 64, 16, {"beta": 0.5, "preference_pairs": 3200}),
    ("kto", "manners"): (40, 8e-4, 16, 20, {"lora_r": 16, "preference_pairs": 320}),
    ("simpo", "reviews"): (96, 4e-4, 16, 24, {"scale": 5, "margin": 2}),
    ("orpo", "reviews"): (250, 4e-4, 16, 63, {"odds_weight": 2}),
    ("dpo", "manners"): (40, 8e-4, 8, 20, {"beta": 0.5, "preference_pairs": 320, "lora_r": 16}),
}
LINKS = {  # what a number in a link is clipped to
    "beta": (0.001, 1000),
    "steps": (1, 2000),
    "learning_rate": (1e-7, 1),
    "batch_size": (1, 512),
    "seed": (0, 4294967295),
    "preference_pairs": (1, 16000),
    "label_noise": (0, 0.5),
    "eval_every": (1, 2000),
    "lora_r": (0, 256),
    "group_size": (2, 64),
    "scale": (0.001, 1000),
    "margin": (0, 100),
    "odds_weight": (0, 1000),
}
RANGE = re.compile(r"from (\S+) (?:\(.+?\) )?to (\S+)$")
ABOVE = re.compile(r"above (\d+)(?:, at most (\d+))?")

pytestmark = pytest.mark.usefixtures("fake_assets")


def test_the_defaults_of_a_run():
    names = ("steps", "learning_rate", "batch_size", "eval_every")
    for (method, task), (*common, own) in DEFAULTS.items():
        expected = dict(zip(names, common, strict=True)) | own
        options = defaults(method, task)
        assert {name: options[name] for name in expected} == expected, (method, task)
    assert {method for method, _ in DEFAULTS} == {*methods()}
    tokens = {name: known_card(name).max_new_tokens for name in NAMES}
    assert tokens == {"reviews": 36, "capitals": 48, "manners": 32}


def test_ppo_makes_two_epochs_of_two_minibatches_or_of_one_if_the_rollout_is_odd():
    assert (PPO_EPOCHS, ppo_minibatches(8), ppo_minibatches(7)) == (2, 2, 1)
    updates = {name: method.updates_per_step(8) for name, method in methods().items()}
    rollouts = {"ppo", "rloo", "grpo", "online-dpo"}
    assert updates == {name: 4 if name in rollouts else 1 for name in methods()}
    assert {methods()[name].updates_per_step(7) for name in rollouts} == {2}


def test_a_link_sets_numbers_within_these_ranges():
    assert {
        name: setting.link_range for name, setting in SETTINGS.items() if setting.link_range
    } == LINKS


def accepts(name, value) -> bool:
    method = next((m for m, known in methods().items() if name in known.options), "ppo")
    try:
        if name == "delay":
            revise(resolve(method, "reviews"), delay=value)
        else:
            resolve("dpo" if name == "beta" else method, "reviews", **{name: value})
    except ConfigError:
        return False
    return True


def test_a_number_may_reach_the_bounds_in_its_message():
    """A setting accepts the bounds of the range in its message, and no number beyond them."""
    cases = {}
    for name, setting in SETTINGS.items():
        field = (LiveConfig if name == "delay" else RunConfig).model_fields.get(name)
        if setting.kind not in ("integer", "number") or field is None:
            continue
        whole = setting.kind == "integer"
        if match := RANGE.search(setting.expected):
            least, most = map(float, match.groups())
            cases[name] = [
                *((value, True) for value in (least, most)),
                (least - 1, False),
                (most + (1 if whole else 0.01), False),
            ]
        elif match := ABOVE.search(setting.expected):
            above, most = match.groups()
            cases[name] = [(float(above), False), (float(above) + 1e-6, True)]
            if most:
                cases[name] += [(float(most), True), (float(most) + 0.01, False)]
    assert {*cases} == {
        "beta", "steps", "learning_rate", "batch_size", "seed", "preference_pairs", "label_noise",
        "lora_r", "eval_samples", "time_limit", "delay", "group_size",
        "scale", "margin", "odds_weight",
    }  # fmt: skip
    wrong = [
        (name, value)
        for name, values in cases.items()
        for value, taken in values
        if accepts(name, int(value) if value == int(value) else value) != taken
    ]
    assert not wrong
    for name in ("eval_every", "eval_prompts"):  # larger numbers are not exact in a browser
        assert accepts(name, 1) and not accepts(name, 0)
        assert accepts(name, 2**53 - 1) and not accepts(name, 2**53)


def test_the_charts_are_made_of_metrics_colours_and_dashes():
    for method in methods().values():
        assert len({chart.id for chart in method.charts}) == len(method.charts)
        for chart in method.charts:
            assert isinstance(chart, Chart) and re.fullmatch("[a-z_]+", chart.id)
            for curve in chart.curves:
                assert isinstance(curve, Curve)
                assert curve.colour in ("gold", "proxy", "kl", "loss", "policy"), curve
                assert curve.dash in ("solid", "dash", "dot"), curve
                assert re.fullmatch(r"[a-z]+(/[a-z_]+)?", curve.metric), curve


def test_the_limits_of_processes_and_the_windows_of_measurements():
    assert (client.STOP_TIMEOUT, client.EXIT_TIMEOUT) == (10, 5)  # seconds
    assert (child_process.EXIT_CODE_TIMEOUT, forkserver.START_TIMEOUT) == (5, 300)
    assert (index.RETRY_SECONDS, index.RELIST_SECONDS, index.SETTLED) == (1, 0.1, 2)
    assert (session.OPEN_TIMEOUT, sqlite_writer.BUSY_TIMEOUT) == (1, 30)
    assert (child_process.MAX_UNSENT, client.MAX_USED_KEPT) == (1000, 1000)  # messages, runs
    assert child_process._UNKNOWN_CODE == 255
    assert (environment.RUN_NICE, environment.QUESTION_NICE) == (3, 8)
    assert (durations.RECENT, durations.DELAY_STEPS, preset_checks.WIDTH) == (20, 3, 10)  # steps
    assert (machine_speed.PROBE_SECONDS, machine_speed._TIMEOUT) == (0.085, 120)
    assert (machine_speed.ONE_THREAD, machine_speed.REPEATED) == (1.7, 1.5)  # times as long
    assert statistics.SHOWN == 5
    assert (pair_selection.LEAST_SURE, intervals.RESAMPLES) == (0.1, 1000)
    assert (preference_files.BATCH, preference_files.PASSES) == (
        {"reward model": 32, "policy": 16},
        {"reward model": 2, "policy": 8},
    )


def test_the_sizes_of_files_texts_and_batches():
    assert (directory.MAX_LOG_BYTES, stored_config.MAX_BYTES) == (256_000_000, 100_000)  # bytes
    assert directory._TAIL == 64_000
    assert (session_checks.MAX_BYTES, session_checks.MAX_CHARACTERS) == (200_000_000, 100_000)
    assert (reference_samples.AT_ONCE, prepare_process.MAX_SAMPLES) == (2e10, 512)
    assert (prompts.CHECKED, samples.PRINTED, scores.PADDED_TO) == (10_000, 5, 256)
    assert (rejection.AT_ONCE, learned_optimum.WORK) == (128, 2.048e9)
    assert (online_dpo.LABEL_SEED_OFFSET, optimum_distance.SECOND_SEED_OFFSET) == (2**31, 2**40)
    assert (stored_texts.BETAS, stored_texts.QUANTILE, preparation.SHOWN) == ((0.05, 20), 0.25, 5)
    assert (learned_optimum.SCORED, learned_optimum.MIN_SCORED) == (32, 16)
    assert learned_optimum.MIN_EFFECTIVE == 8
    assert model_files._MAX_HEADER == 104_857_600
    assert preparation.KLS == (0.5, 1.0, 2.0, 3.0)  # nats


def test_the_bounds_of_the_frontier():
    assert (optimum.MIN_KL, optimum.MAX_KL, optimum.BUDGET) == (0.05, 3.0, 2.0)  # nats
    assert (optimum.LOWEST_BETA, optimum.HIGHEST_BETA, optimum.GRID) == (0.05, 200, 120)
    assert optimum.MIN_EFFECTIVE_SAMPLES == 100
    assert optimum.BEST_OF == (2, 4, 8, 16, 32)


def test_an_evaluation_samples_four_texts_and_shows_eight_prompts():
    samples = inspect.signature(Evaluator).parameters["samples"]
    shown = inspect.signature(Evaluator.samples).parameters["prompts"]
    assert (samples.default, shown.default) == (4, 8)
    assert inspect.signature(pair_accuracy).parameters["pairs"].default == 8


def test_a_trainer_has_no_adapter_and_a_file_of_votes_the_seed_0_unless_they_are_given():
    for made in (sft.make_trainer, dpo.make_trainer, reward.make_trainer, build.make_trainer):
        assert inspect.signature(made).parameters["lora_r"].default == 0
    assert inspect.signature(texts.TextTrainer).parameters["lora_r"].default == 0
    assert inspect.signature(preference_files.write_mixed).parameters["seed"].default == 0


def test_the_temperature_of_samples():
    temperature = TypeAdapter(fields.Temperature)
    assert [temperature.validate_python(value) for value in (0.01, 10)] == [0.01, 10]
    for value in (0, 10.01, True):
        with pytest.raises(ValidationError):
            temperature.validate_python(value)


def test_the_share_of_a_policy_in_a_mixture():
    share = TypeAdapter(fields.Share)
    assert [share.validate_python(value) for value in (0, 1000, None)] == [0, 1000, None]
    for value in (-1e-9, 1000.01, True):
        with pytest.raises(ValidationError):
            share.validate_python(value)


def test_the_failings_of_the_simulated_raters():
    assert (RATERS, LOUD_SHARE) == (8, 2 / 3)
    assert {name: crowd.rater for name, crowd in CROWDS.items()} == {
        "task": Rater(1.0, 0.0, 0.0, 0.0, 0.0, -float("inf")),
        "noisy": Rater(coin_tosses=0.4),
        "wordy": Rater(per_word=0.3),
        "leftish": Rater(for_left=1.0),
        "undecided": Rater(same=1.0, bad=-1.0),
        "loud": Rater(),
    }
    assert CROWDS["loud"].loud == Rater(gold=0.0, per_word=-0.5)
    assert Rater(gold=2.0, per_word=0.5).utility("two words", 3.0) == 2.0 * 3.0 + 0.5 * 2
