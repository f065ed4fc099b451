"""Readings: each on its own example, the order of several, and their sentences."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from playground import text
from playground.content import readings as rules
from playground.content.readings import Reading, format_number, readings, sentence
from playground.content.readings.measures import Frontier, Run, Target
from tests.playground.content.readings.examples import (
    DPO,
    EXAMPLES,
    PPO,
    WELL,
    around,
    at_the_end,
    evaluated,
    trained,
)

WORDS = text.load("en")["readings"]
RUNNING, FAILED, FINISHED, STOPPED = "running", "failed", "finished", "stopped"
STATUS = {"failed": FAILED, "too_short": FINISHED, "stopped_early": STOPPED}
STATUS |= {"short_of_target": FINISHED, "on_target": STOPPED}
STATUS |= {"two_parts": FINISHED, "better_than_learned": FINISHED}
TARGET = Target(gain=2.5, kl=0.9)  # objective at β = 0.5: 2.05
FRONTIER = Frontier(full_gain=2.0, curve=[(0.0, 0.0), (0.5, 1.0), (1.5, 1.8)])  # 1.4 at KL 1


def keys(config, series, status=RUNNING, target=None, frontier=None, **beta_since):
    run = Run(config, series, status, target, frontier, **beta_since)
    return [reading.key for reading in readings(run)]


@pytest.mark.parametrize("key", EXAMPLES)
def test_every_reading_has_an_example_run(key):
    config, series, values = EXAMPLES[key]
    run = Run(config, series, STATUS.get(key, RUNNING), TARGET, FRONTIER)
    (reading,) = [candidate for candidate in readings(run) if candidate.key == key]
    assert reading.values == pytest.approx(values, abs=1e-12)


@pytest.mark.parametrize("key", EXAMPLES)
def test_a_sentence_holds_the_numbers_of_its_reading_and_no_others(key):
    fields = {field for _, field, _, _ in string.Formatter().parse(WORDS[key]) if field}
    assert fields == set(EXAMPLES[key][2])


def test_the_catalogue_has_exactly_the_readings_of_the_rules():
    modules = Path(rules.__file__).parent.glob("*.py")
    trees = [ast.parse(module.read_text(encoding="utf-8")) for module in modules]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    firsts = [call.args[0] for call in calls if getattr(call.func, "id", "") == "Reading"]
    keys_of_rules = set()
    for first in firsts:
        branches = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
        keys_of_rules |= {branch.value for branch in branches}
    assert keys_of_rules == set(WORDS) == set(EXAMPLES)


def test_the_first_matching_rule_of_a_group_gives_the_reading():
    """The reward is below the reference's, the KL is large, and the objective fell: one reading."""
    series = evaluated([0.5, 2.0, -1.0], [0.0, 1.0, 9.0], proxy_reward=[0.0, 1.5, 2.5])
    assert keys(PPO, series) == ["over_optimised"]
    del series["eval/proxy_reward"]
    assert keys(PPO, series) == ["past_best"]
    assert keys(PPO, evaluated([0.5, -1.0], [0.0, 9.0])) == ["below_reference"]
    assert keys(PPO, evaluated([0.5, 0.5], [0.0, 9.0])) == ["overpaid"]
    assert keys(PPO | {"beta": 0.0}, evaluated([0.5, 0.5], [0.0, 9.0])) == ["far"]
    assert keys(PPO, evaluated([0.5, 0.5], [0.0, 0.5])) == ["no_better"]


def test_warnings_come_first_and_three_at_most():
    series = {
        **evaluated([0.0, 0.0], [0.0, 0.5], entropy=[20.0, 5.0], length=[10.0, 5.0]),
        **trained(objective__kl=[0.0, 4.0], loss__value_avg=[1.0] * 5 + [3.0] * 5),
    }
    assert keys(PPO, series) == ["leapt", "value_unstable", "no_better"]
    assert keys(PPO, series, FAILED) == ["failed", "leapt", "value_unstable"]


def test_no_praise_beside_a_warning():
    well = evaluated(**WELL)
    assert keys(PPO, well) == ["rising"]
    assert keys(PPO, well | trained(objective__kl=[0.0, 4.0])) == ["leapt"]
    # A note is shown beside good news.
    assert keys(PPO, well | evaluated(**WELL, length=[10.0, 20.0])) == ["rising", "longer"]


def test_only_an_ended_run_is_compared_with_the_target():
    series = evaluated(**WELL, gain=[0.0, 1.0])
    keys_at = {
        status: keys(PPO, series, status, TARGET, FRONTIER)
        for status in ("running", "paused", "finished", "stopped")
    }
    assert keys_at["running"] == keys_at["paused"] == ["rising"]
    assert keys_at["finished"] == keys_at["stopped"] == ["rising", "short_of_target"]
    for gap, key in ((0.09, "short_of_target"), (0.1, "two_parts")):
        parts = series | at_the_end(gap=(gap, 0.12), learned=(0.05, 0.05))
        assert keys(PPO, parts, FINISHED, TARGET, FRONTIER) == ["rising", key]
    assert keys(PPO, series, FINISHED) == ["rising"], "the target is not known"
    del series["eval/gain"]
    assert keys(PPO, series, FINISHED, TARGET, FRONTIER) == ["rising"]


def test_a_reported_gain_equals_that_in_the_frontier_chart():
    """A gain of 0.3 · 2 = 0.6, where the curve has 1 + 0.5 · 0.8 = 1.4 at KL 1."""
    shares = {"frontier_efficiency": [0.0, 0.6, 0.5], "gain": [0.0, 0.3, 0.3]}
    series = evaluated([0.0, 0.69, 0.69], [0.0, 1.0, 1.0], **shares)
    (reading,) = readings(Run(PPO, series, RUNNING, frontier=FRONTIER))
    assert reading.key == "wasteful"
    assert reading.values == pytest.approx({"gain": 0.6, "kl": 1.0, "possible": 1.4}, abs=1e-12)


def test_a_new_beta_does_not_apply_to_earlier_kl():
    """At β = 4, the KL of the first ten steps would cost 4 · 0.95 nats for 1.5 of reward; it has
    not risen since."""
    series = evaluated([0.0, 1.5, 1.6], [0.0, 0.95, 0.9])
    config = PPO | {"beta": 4.0}
    assert keys(config, series) == ["overpaid"]
    assert keys(config, series, beta_since=10) == ["improved"]
    assert keys(config, series, beta_since=15) == ["improved"]


def test_beta_is_a_price_only_where_reward_less_beta_kl_is_maximised():
    series, config = EXAMPLES["overpaid"][1], EXAMPLES["overpaid"][0]
    assert "overpaid" in keys(config, series)
    assert "overpaid" not in keys(config | {"method": "grpo", "loss": "dapo"}, series)


def test_a_held_policy_gets_no_praise():
    series = evaluated([0.0, 0.3, 0.39], [0.0, 0.03, 0.034])
    config = PPO | {"beta": 8.0, "steps": 20}
    assert keys(config, series) == ["held"]
    assert keys(config | {"steps": 60}, series) == ["improved"]


def test_before_the_first_reading():
    assert keys(PPO, {}, "starting") == ["nothing_yet"]
    assert keys(PPO, evaluated([0.2], [0.0])) == ["nothing_yet"]
    assert keys(PPO, evaluated([0.2], [0.0]), "paused") == ["nothing_yet"]
    assert keys(PPO, evaluated([0.2], [0.0]), "finished") == ["too_short"]
    assert keys(PPO, evaluated(**WELL), "finished") == ["rising"]


def test_a_long_curve_is_judged_by_its_last_quarter():
    """240 steps: the last 60 differ from the 60 before; the last 20 equal the 20 before."""
    series = trained(
        rewards__margins=around(1.0, 240),
        rewards__accuracies=[0.7] * 240,
        rewards__chosen=around(-0.5, 180) + around(-0.8, 60),
    )
    (reading,) = readings(Run(DPO, series, RUNNING))
    assert reading.key == "chosen_falling"
    assert reading.values == pytest.approx({"chosen": -0.8, "margin": 1.0})


def test_an_efficiency_above_1_is_reported_as_1():
    series = evaluated([0.0, 2.0, 2.0], [0.0, 1.0, 1.0], frontier_efficiency=[0.0, 1.0, 1.04])
    (reading,) = readings(Run(PPO, series, RUNNING))
    assert (reading.key, reading.values["share"]) == ("near_limit", 100)


def test_a_sentence_is_filled_with_rounded_numbers():
    reading = Reading("below_reference", "warning", {"then": 0.2284, "now": -4.5098})
    assert sentence(reading, WORDS) == WORDS["below_reference"].format(then="0.23", now="−4.51")


@pytest.mark.parametrize(
    "value, shown",
    [
        (0, "0"), (18, "18"), (120, "120"), (0.7, "0.7"), (4.0, "4"), (2.203, "2.2"),
        (-0.5312, "−0.53"), (-0.00001, "0"), (0.0196, "0.02"), (0.0138, "0.014"),
        (0.002, "0.002"), (13.74, "13.7"), (256.6, "257"), (100.0, "100"), (20.04, "20"),
    ],
)  # fmt: skip
def test_numbers_as_text(value, shown):
    assert format_number(value) == shown
