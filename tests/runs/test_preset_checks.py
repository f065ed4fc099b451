"""Each rule on a series that satisfies it, and on a series that violates it in one number."""

from __future__ import annotations

import pytest

from align_core.runs.events import series
from align_core.runs.preset_checks import RULES, Check, checks


def metrics(step, **values):
    return {"kind": "metrics", "step": step, "seconds": step, "metrics": values}


def run(gain=(), proxy=(), kl=(), efficiency=(), margins=()):
    """Events of a run with evaluations at steps 0, 10, 20, …, and training metrics at each step."""
    names = ("eval/gain", "eval/proxy_reward", "eval/kl", "eval/frontier_efficiency")
    events = []
    for name, values in zip(names, (gain, proxy, kl, efficiency), strict=True):
        events += [metrics(10 * i, **{name: value}) for i, value in enumerate(values)]
    events += [metrics(i, **{"rewards/margins": value}) for i, value in enumerate(margins, 1)]
    return sorted(events, key=lambda event: event["step"])


def check(rule, events, **thresholds):
    """The values by name, and the names of those beyond their bounds."""
    results = checks({"rule": rule, **thresholds}, series(events))
    values = {finding.name: finding.value for finding in results}
    return values, [finding.name for finding in results if not finding.holds]


def test_carries_over_needs_a_similar_rise_of_uncovered_prompts():
    def sides(covered, uncovered):
        end = {"gold_reward_covered": covered, "gold_reward_reference_covered": 1.0}
        end |= {"gold_reward_uncovered": uncovered, "gold_reward_reference_uncovered": 0.5}
        return [metrics(10, **{f"eval/{name}": value for name, value in end.items()})]

    values, broken = check("carries_over", sides(2.0, 1.25), rise=0.9, share=0.7)
    assert values == {"rise on covered prompts": 1.0, "share on the others": 0.75}
    assert broken == []
    _, broken = check("carries_over", sides(1.5, 0.75), rise=0.6, share=0.6)
    assert broken == ["rise on covered prompts", "share on the others"]
    half = [metrics(10, **{"eval/gold_reward_covered": 2.0, "eval/gold_reward_uncovered": 1.0})]
    assert check("carries_over", half, rise=0.1, share=0.1)[1] == broken, "without the reference's"
    uncovered = {"gold_reward_uncovered": 1.0, "gold_reward_reference_uncovered": 0.5}
    other = [metrics(10, **{f"eval/{name}": value for name, value in uncovered.items()})]
    assert check("carries_over", other, rise=0.1, share=0.1)[1] == broken, "the others alone"
    _, broken = check("carries_over", run(gain=[0, 0.5]), rise=0.6, share=0.6)
    assert broken == ["rise on covered prompts", "share on the others"], "not measured"


def test_a_finding_shows_its_bounds():
    assert Check("gain", 0.5, least=0.5).holds
    assert not Check("gain", 0.499, least=0.5).holds
    assert Check("KL", 0.5, most=0.5).holds and not Check("KL", 0.51, most=0.5).holds
    assert not Check("KL", None).holds
    assert str(Check("gain", 0.5, least=0.5)) == "gain 0.50 (at least 0.5)"
    assert str(Check("KL", 2.0, least=0.5, most=1)) == "KL 2.00 (at least 0.5, at most 1) ✗"
    assert str(Check("KL", None, most=1)) == "KL not measured (at most 1) ✗"


def test_aligns_needs_a_gain_and_an_efficiency_at_the_end():
    healthy = run(gain=[0, 0.7, 0.81], efficiency=[None, 0.95, 0.92])
    values, broken = check("aligns", healthy, gain=0.7, efficiency=0.85)
    assert values == {"gain": 0.81, "efficiency": 0.92}
    assert broken == []
    assert check("aligns", healthy, gain=0.82, efficiency=0.93)[1] == ["gain", "efficiency"]


def test_numbers_missing_at_the_end_are_not_reported():
    far = run(gain=[0, 0.7, 0.81], efficiency=[None, 0.95, None])  # KL beyond the frontier
    values, broken = check("aligns", far, gain=0.7, efficiency=0.85)
    assert values["efficiency"] is None
    assert broken == ["efficiency"]


def test_stays_needs_a_small_kl_at_every_evaluation():
    penalised = run(gain=[0, 0.2, 0.25], kl=[0, 0.12, 0.09])
    values, broken = check("stays", penalised, kl=0.15, gain=0.4)
    assert values == {"largest KL": 0.12, "gain": 0.25}
    assert broken == []
    assert check("stays", penalised, kl=0.1, gain=0.2)[1] == ["largest KL", "gain"]


def test_wastes_needs_a_low_efficiency():
    noisy = run(gain=[0, 0.4, 0.5], efficiency=[None, 0.6, 0.55])
    assert check("wastes", noisy, gain=0.4, efficiency=0.6)[1] == []
    assert check("wastes", noisy, gain=0.6, efficiency=0.5)[1] == ["gain", "efficiency"]


def test_over_optimises_needs_falling_gold_and_rising_proxy_rewards():
    hacked = run(gain=[0, 0.5, 0.8, 0.2], proxy=[0, 1, 2, 2.5])
    values, broken = check("over_optimises", hacked, gain=0.3, lost=0.3, rise=0.1)
    assert values == {
        "best gain": 0.8,
        "share lost": pytest.approx((0.8 - 0.2) / 0.8),
        "rise of the proxy since": pytest.approx(2.5 - 2),
    }
    assert broken == []


@pytest.mark.parametrize(
    "gain, proxy, name",
    [
        ([0, 0.1, 0.29, 0.1], [0, 1, 2, 2.5], "best gain"),
        ([0, 0.5, 0.8, 0.6], [0, 1, 2, 2.5], "share lost"),
        ([0, 0.5, 0.8, 0.2], [0, 1, 2, 1.9], "rise of the proxy since"),
    ],
)
def test_over_optimises_needs_all_three_changes(gain, proxy, name):
    events = run(gain=gain, proxy=proxy)
    assert check("over_optimises", events, gain=0.3, lost=0.3, rise=0.1)[1] == [name]


def test_without_a_gain_everything_is_since_the_first_step():
    values, _ = check("over_optimises", run(proxy=[1, 2, 4]), gain=0.3, lost=0.3, rise=0.1)
    assert values["rise of the proxy since"] == 3
    early = [metrics(step, **{"eval/proxy_reward": value}) for step, value in enumerate((1, 2, 4))]
    values, _ = check("over_optimises", early, gain=0.3, lost=0.3, rise=0.1)
    assert values["rise of the proxy since"] == 3


def test_a_run_without_a_gain_has_lost_no_share():
    worse = run(gain=[0, -0.2, -0.4], proxy=[0, 1, 2])
    values, broken = check("over_optimises", worse, gain=0.3, lost=0.3, rise=0.1)
    assert values["share lost"] is None
    assert broken == ["best gain", "share lost"]


def test_runs_away_needs_over_optimisation_and_a_large_kl():
    away = run(gain=[0, 0.9, -0.1], proxy=[0, 2, 3], kl=[0, 3, 80])
    values, broken = check("runs_away", away, gain=0.5, lost=1.0, rise=0.1, kl=50)
    assert values["share lost"] == pytest.approx((0.9 + 0.1) / 0.9)
    assert broken == []
    near = run(gain=[0, 0.9, 0.1], proxy=[0, 2, 3], kl=[0, 3, 40])
    assert check("runs_away", near, gain=0.5, lost=1.0, rise=0.1, kl=50)[1] == ["share lost", "KL"]


def test_keeps_allows_a_small_loss():
    mended = run(gain=[0, 0.4, 0.5, 0.45])
    values, broken = check("keeps", mended, gain=0.3, lost=0.1)
    assert values == {"gain": 0.45, "share lost": pytest.approx(0.1)}
    assert broken == []
    assert check("keeps", mended, gain=0.5, lost=0.09)[1] == ["gain", "share lost"]


def test_overtrains_needs_falling_gold_reward_and_a_growing_margin():
    margins = [1.0] * 10 + [
        3.0
    ] * 20  # the best gain is at step 10; the ten margins up to it have mean 1
    events = run(gain=[0, 0.8, 0.6, 0.4], margins=margins)
    values, broken = check("overtrains", events, gain=0.5, lost=0.3, rise=1.0)
    assert values["share lost"] == pytest.approx(0.5)
    assert values["growth of the margin since"] == pytest.approx(3.0 - 1.0)
    assert broken == []
    level = run(gain=[0, 0.8, 0.6, 0.4], margins=[1.0] * 30)
    assert check("overtrains", level, gain=0.5, lost=0.3, rise=1.0)[1] == [
        "growth of the margin since"
    ]


def test_an_uncertain_margin_gives_no_reading():
    early = run(gain=[0, 0.8, 0.4], margins=[1.0] * 9 + [None] + [3.0] * 10)
    values, broken = check("overtrains", early, gain=0.5, lost=0.3, rise=1.0)
    assert values["growth of the margin since"] is None
    assert broken == ["growth of the margin since"]


def test_ranks_needs_an_accuracy_at_the_end():
    events = [metrics(0, **{"eval/accuracy": 0.5}), metrics(10, **{"eval/accuracy": 0.69})]
    assert check("ranks", events, accuracy=0.65) == ({"accuracy": 0.69}, [])
    assert check("ranks", events, accuracy=0.7)[1] == ["accuracy"]


def test_hacks_needs_a_rise_of_the_proxy_and_a_fall_of_gold():
    events = run(proxy=[0.0, 9.0, 39.5], kl=[0, 14, 45])
    events += [metrics(10 * i, **{"eval/gold_reward": v}) for i, v in enumerate([-3.0, -2.0, -5.5])]
    values, broken = check("hacks", events, rise=20, fall=1.5, kl=20)
    assert values == {"rise of the proxy": 39.5, "change of the gold reward": -2.5, "KL": 45}
    assert broken == []
    names = ["rise of the proxy", "change of the gold reward", "KL"]
    assert check("hacks", events, rise=40, fall=2.6, kl=46)[1] == names


@pytest.mark.parametrize("rule", RULES)
def test_a_run_without_an_evaluation_fails_the_check(rule):
    thresholds = RULES[rule].__annotations__.keys() - {"series", "return"}
    kept = checks({"rule": rule, **dict.fromkeys(thresholds, 0.0)}, {})
    assert kept and not any(finding.holds for finding in kept)
