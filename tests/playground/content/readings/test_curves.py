"""Training curves just below the threshold of a rule."""

from __future__ import annotations

import pytest

from playground.content.readings import readings
from playground.content.readings.measures import Run
from tests.playground.content.readings.examples import (
    DPO,
    EXAMPLES,
    PPO,
    REWARD,
    SFT,
    around,
    trained,
)


@pytest.mark.parametrize(
    "key, config, series",
    [
        ("leapt", PPO, trained(objective__kl=[0.0, 0.5, 2.49, 3.0])),
        # The leap is too old: the last six rollouts show only the five updates after it.
        ("leapt", PPO, trained(objective__kl=[0.5, 2.6, 3.0, 3.0, 3.0, 3.0, 3.0])),
        ("clipped", PPO, trained(policy__clipfrac_avg=[0.9, 0.03, 0.04, 0.04, 0.06, 0.07])),
        ("clipped", PPO, trained(policy__clipfrac_avg=[0.9, 0.9, 0.9, 0.9])),
        ("value_unstable", PPO, trained(loss__value_avg=[1.0] * 5 + [1.99] * 5)),
        ("value_unstable", PPO, trained(loss__value_avg=[1.0] * 5 + [9.0] * 4)),
        ("worse_than_a_coin", DPO, trained(loss=around(0.76))),
        ("worse_than_a_coin", DPO, trained(loss=around(5.0, 18))),
        (
            "by_heart",
            DPO,
            EXAMPLES["by_heart"][1] | trained(rewards__accuracies=[0.89] * 20),
        ),
        ("by_heart", DPO | {"preferences": "mine.jsonl"}, EXAMPLES["by_heart"][1]),
        ("by_heart", DPO | {"pair_source": "pretrained"}, EXAMPLES["by_heart"][1]),
        ("pairs_apart", DPO, EXAMPLES["pairs_apart"][1] | trained(rewards__margins=around(0.06))),
        ("chosen_below_zero", DPO, EXAMPLES["pairs_apart"][1]),
        (
            "chosen_falling",
            DPO,
            EXAMPLES["chosen_falling"][1] | trained(rewards__chosen=around(-0.4) + around(-0.49)),
        ),
        (
            "memorising",
            REWARD,
            {"eval/accuracy": [(0, 0.5), (10, 0.75)], **trained(accuracy=[0.89] * 10)},
        ),
        ("memorising", REWARD, {"eval/accuracy": [(0, 0.5), (10, 0.5)], **trained(accuracy=[1.0])}),
        (
            "guessing",
            REWARD,
            {"eval/accuracy": [(0, 0.5), (30, 0.55)], **trained(accuracy=[0.6] * 30)},
        ),
        (
            "guessing",
            REWARD,
            {"eval/accuracy": [(0, 0.5), (29, 0.5)], **trained(accuracy=[0.6] * 29)},
        ),
        ("loss_rose", SFT, trained(loss=[1.0] + around(1.31))),
        ("loss_rose", SFT, trained(loss=[1.0] + around(3.0, 18))),
        ("loss_level", SFT, trained(loss=around(2.0) + around(1.5) + around(1.43, 18))),
    ],
)
def test_just_below_its_threshold_a_rule_is_silent(key, config, series):
    assert key not in [reading.key for reading in readings(Run(config, series))]
