"""Claims on coverage: the largest gain of an uncovered response, by setting."""

from __future__ import annotations

import pytest

from align_core.experiments import coverage
from tests.experiments.verdicts import mean, verdict_of


def coverage_result(settings):
    """A result from {setting: (DPO's rise, DPO's minus PPO's)}; mean gold falls from 0.5 to 0.3."""
    rows = [
        {
            "responses": 4,
            "raters": "graded",
            "beta": 0.1,
            "reference": {"uncovered": mean(0.5)},
            "dpo": {"rise": rise, "uncovered": mean(0.3)},
            "dpo_over_ppo": {"rise": more},
            "best_covered": False,
        }
        for rise, more in settings
    ]
    nothing = {"rise": None, "uncovered": mean(0.0)}
    common = {"raters": "graded", "beta": 0.1, "best_covered": False}
    full = {**common, "responses": 8, "reference": nothing, "dpo": nothing}
    # Settings in which the best response is always covered are no part of the claim.
    best = {**(rows[0] if rows else full), "best_covered": True}
    return {"settings": [*rows, {**full, "dpo_over_ppo": {"rise": None}}, best]}


@pytest.mark.parametrize(
    "rises, expected",
    [((0.2, 0.0), "holds"), ((0.05, 0.0), "unclear"), ((-0.2, 0.0), "unclear")]
    + [((-0.2, -0.3), "fails")],
)
def test_a_rise_is_possible_if_dpo_clearly_has_one(rises, expected):
    result = coverage_result([(mean(rise), mean(0.0)) for rise in rises])
    assert verdict_of(coverage, result, "gives")[0] == expected


@pytest.mark.parametrize(
    "differences, expected",
    [
        ((0.2, 0.2, 0.0), "holds"),
        ((-0.2, -0.2, 0.2), "fails"),
        ((-0.2, 0.0, 0.0), "unclear"),
        ((0.2, -0.2), "unclear"),
    ],
)
def test_a_method_spreads_if_most_settings_clearly_show_it(differences, expected):
    result = coverage_result([(mean(0.0), mean(difference)) for difference in differences])
    assert verdict_of(coverage, result, "spreads")[0] == expected


def test_settings_with_uncovered_responses_are_counted():
    result = coverage_result([(mean(0.2), mean(-0.2)), (mean(0.0), mean(-0.2))])
    why = verdict_of(coverage, result, "gives")[1]
    # 0.3 − 0.5 = −0.2 ± 0.141
    assert why.startswith("In 1 of 2 settings") and "; in 2, all of them together" in why
    assert (
        "DPO in 0 of these settings, and under PPO in 2."
        in verdict_of(coverage, result, "spreads")[1]
    )
