"""Evaluations just below the threshold of a rule."""

from __future__ import annotations

import pytest

from playground.content.readings import readings
from playground.content.readings.measures import Run
from tests.playground.content.readings.examples import (
    DPO,
    EXAMPLES,
    PPO,
    SFT,
    WELL,
    around,
    evaluated,
    trained,
)


@pytest.mark.parametrize(
    "key, config, series",
    [
        # The proxy reward rose by 0.24 since the best gold reward.
        (
            "over_optimised",
            PPO,
            evaluated([0.0, 2.0, 1.9], [0.0, 1.0, 1.2], proxy_reward=[0.0, 1.5, 1.74]),
        ),
        # The run optimises the gold reward itself.
        ("over_optimised", PPO | {"reward_model": "gold"}, EXAMPLES["over_optimised"][1]),
        # The gold reward is at its best now, even if the proxy reward rises faster.
        (
            "over_optimised",
            PPO,
            evaluated([0.0, 2.0, 2.01], [0.0, 1.0, 1.2], proxy_reward=[0.0, 1.5, 2.5]),
        ),
        ("past_best", PPO, evaluated([0.0, 2.0, 1.71], [0.0, 1.0, 1.0])),
        ("past_best", PPO, evaluated([2.0, 1.0, 1.0], [0.0, 1.0, 1.0])),
        # The margin has grown by less than three standard errors (0.0973).
        (
            "pairs_past_best",
            DPO,
            EXAMPLES["pairs_past_best"][1] | trained(rewards__margins=around(1) + around(1.09)),
        ),
        ("below_reference", PPO, evaluated([0.2, -0.29], [0.0, 1.0])),
        # The objective falls from 1.5 to 1.21, by 0.29, while β·KL rises by 0.45.
        ("overpaid", PPO, evaluated([0.0, 2.0, 2.16], [0.0, 1.0, 1.9])),
        # The objective falls by 0.3 + 0.25, of which β·KL is 0.25: the reward causes the fall.
        ("overpaid", PPO, evaluated([0.0, 2.0, 1.71], [0.0, 1.0, 1.5])),
        # β is so large that the policy stays near its reference: `held` says so.
        ("overpaid", PPO | {"beta": 50.0}, evaluated([0.0, 0.1, 0.1], [0.0, 0.1, 0.24])),
        ("far", PPO | {"beta": 0.0}, evaluated([0.0, 2.0], [0.0, 2.99])),
        ("rising", PPO, evaluated([0.0, 1.0, 1.19], [0.0, 1.0, 1.0])),
        ("no_better", PPO, evaluated([0.0, 0.21, 0.21], [0.0, 0.3, 0.3])),
        (
            "near_limit",
            PPO,
            evaluated([0.0, 2.0, 2.0], [0.0, 1.0, 1.0], frontier_efficiency=[0.0, 0.9, 0.79]),
        ),
        (
            "wasteful",
            PPO,
            evaluated([0.0, 2.0, 2.0], [0.0, 1.0, 1.0], frontier_efficiency=[0.0, 0.6, 0.71]),
        ),
        (
            "wasteful",
            PPO,
            evaluated([0.0, 0.6, 0.6], [0.0, 0.2, 0.24], frontier_efficiency=[0.0, 0.6, 0.6]),
        ),
        ("held", PPO | {"beta": 4.0, "steps": 20}, evaluated([0.0, 0.5], [0.0, 0.26])),
        ("held", PPO | {"beta": 4.0, "steps": 21}, evaluated([0.0, 0.5], [0.0, 0.24])),
        # 2 / √(2 · 0.25) = 2.828
        ("held", PPO | {"beta": 2.82, "steps": 20}, evaluated([0.0, 0.5], [0.0, 0.24])),
        ("timid", PPO | {"beta": 2.83, "steps": 20}, evaluated([0.0, 0.5], [0.0, 0.24])),
        ("alike", PPO, evaluated(**WELL, entropy=[20.0, 10.1])),
        ("longer", PPO, evaluated(**WELL, length=[10.0, 14.9])),
        ("shorter", PPO, evaluated(**WELL, length=[14.9, 10.0])),
        ("reward_taught", SFT | {"steps": 21}, evaluated([0.0, 1.0], [0.0, 0.5])),
    ],
)
def test_just_below_its_threshold_a_rule_is_silent(key, config, series):
    assert key not in [reading.key for reading in readings(Run(config, series))]
