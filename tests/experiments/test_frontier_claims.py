"""Claims on the frontier: DPO minus PPO at each KL budget, as shares of the frontier."""

from __future__ import annotations

import pytest

from align_core.experiments import frontier
from align_core.experiments.claims import TESTED, comparison_counts
from tests.experiments.verdicts import mean, verdict_of


def frontier_result(
    over_ppo, over_gold=(0.5, 0.5), dpo=(0.9, 0.9), ppo=(0.9, 0.9), certain=(0.2,), graded=()
):
    budgets = ("0.5", "1")
    return {
        "dpo_over_ppo": dict(zip(budgets, over_ppo, strict=True)),
        "shares": {
            "dpo": {
                budget: mean(0.4 + more) for budget, more in zip(budgets, over_gold, strict=True)
            },
            "ppo-gold": dict.fromkeys(budgets, mean(0.4)),
        },
        "wide": [
            {
                "raters": raters,
                "pairs": 1000 * (place + 1),
                "dpo_over_ppo": {"1": mean(more), "15": mean(-more)},
            }
            for raters, differences in (("certain", certain), ("graded", graded))
            for place, more in enumerate(differences)
        ],
        "win_rates": {
            "dpo": {"rates": [mean(rate, 0.03) for rate in dpo], "temperatures": [0.0, 1.0]},
            "ppo": {"rates": [mean(rate, 0.04) for rate in ppo]},
        },
    }


@pytest.mark.parametrize(
    "over_ppo, over_gold, expected",
    [
        # With a half-width of √(0.1² + 0.1²) = 0.141, the interval of 0.15 excludes 0; that of 0.14
        # does not.
        ([mean(0.2), mean(0.11)], (0.5, 0.15), "holds"),
        ([mean(0.2), mean(0.11)], (0.5, 0.14), "unclear"),
        ([mean(0.2), mean(0.11)], (0.5, -0.15), "fails"),
        ([mean(0.2), mean(0.09)], (0.5, 0.15), "unclear"),
        ([mean(0.2), mean(-0.11)], (0.5, 0.15), "fails"),
        ([mean(0.2), mean(0.2, None)], (0.5, 0.15), "unclear"),  # a single seed
    ],
)
def test_dpo_dominates_if_it_is_clearly_ahead_everywhere(over_ppo, over_gold, expected):
    result = frontier_result(over_ppo, over_gold)
    assert verdict_of(frontier, result, "dominates")[0] == expected


def test_the_budgets_at_which_each_method_is_ahead_are_counted():
    result = frontier_result([mean(-0.2), mean(0.2)], (0.0, -0.3))
    why = verdict_of(frontier, result, "dominates")[1]
    assert "Out of 2 KL budgets, it is clearly ahead of PPO on a reward model in 1" in why
    assert "behind in 1, and ahead of PPO on the gold reward in 0 and behind in 1." in why


@pytest.mark.parametrize(
    "dpo, ppo, expected",
    [
        # The losses have half-widths of 0.03·√2 and 0.04·√2; their difference has 0.05·√2 = 0.0707.
        ((0.9, 0.8, 0.5), (0.9, 0.9, 0.7), "fails"),  # 0.4 against 0.2
        ((0.9, 0.5, 0.7), (0.9, 0.9, 0.5), "holds"),  # 0.2 against 0.4
        ((0.9, 0.70), (0.90, 0.63), "unclear"),  # 0.20 against 0.27
        ((0.9, 0.70), (0.90, 0.62), "holds"),  # 0.20 against 0.28
        ((0.5, 0.8), (0.8, 0.8), "unclear"),  # DPO gains 0.3, but PPO loses nothing
        ((0.5, 0.8), (0.8, 0.7), "holds"),
    ],
)
def test_a_method_that_loses_more_suffers_from_temperature(dpo, ppo, expected):
    result = frontier_result([mean(0.0)] * 2, dpo=dpo, ppo=ppo)
    assert verdict_of(frontier, result, "steadier")[0] == expected


def test_the_changes_by_temperature_are_reported():
    result = frontier_result([mean(0.0)] * 2, dpo=(0.5, 0.9, 0.8))
    why = verdict_of(frontier, result, "steadier")[1]
    expected = "From T = 0 to T = 1, DPO's win rate changes by 0.30 ± 0.04, PPO's by 0.00 ± 0.06."
    assert why == expected


def test_comparisons_are_counted():
    """Two budgets, each against PPO and PPO on gold, two with certain raters, and three of the
    temperature: 9, of which that of 0.2 ± 0.1, both of 0.4 ± 0.14, the two of ±0.2 ± 0.1, and the
    loss of 0.2 ± 0.04 and its difference are clear."""
    result = frontier_result([mean(0.2), mean(0.05)], (0.4, 0.4), dpo=(0.9, 0.7))
    counts = comparison_counts(frontier, result)
    assert counts == {"tests": "9", "clear": "7", "chance": "0.5"}
    assert "Of 9 comparisons, 7 are clear" in TESTED.format(**counts)


def test_the_papers_comparison_is_judged_with_certain_raters():
    """Each set of pairs is clearly ahead at one KL and clearly behind at the other."""
    result = frontier_result([mean(0.0)] * 2, certain=(0.2, 0.05), graded=(0.2, 0.3, 0.4))
    kind, why = verdict_of(frontier, result, "wide")
    assert kind == "fails"
    assert why == (
        "Of 4 comparisons (1,000, 2,000, 3,000 pairs; 1, 4, 15 nats) with certain raters it is "
        "clearly ahead of PPO on a reward model in 1 and behind in 1; with raters by σ(Δr), ahead "
        "in 3 and behind in 3."
    )
