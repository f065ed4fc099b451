"""The exact optima over the texts of a reference, with and without errors of the reward."""

from __future__ import annotations

import numpy as np
import pytest

from align_core.experiments import collapse, collapse_runs
from align_core.experiments import reference_texts as exact
from align_core.optimum import ReferenceSamples, by_prompt
from tests.experiments.verdicts import mean, verdict_of

SHARE = np.array([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0]])
GOLD = np.array([[1.0, -1.0, 2.0], [0.0, 3.0, 0.0]])


@pytest.fixture
def samples():
    """Two prompts, four samples each, of two and of three distinct texts."""
    tokens = np.array([[[1, 9], [2, 9], [1, 9], [1, 9]], [[4, 4], [5, 9], [4, 4], [6, 9]]])
    rewards = np.array([[1.0, 2.0, 1.0, 1.0], [0.5, 3.0, 0.5, -1.0]])
    whole = np.ones((2, 4), dtype=bool)
    return ReferenceSamples(
        ["a", "b"], tokens.astype(np.uint16), whole * np.uint8(2), whole, rewards
    )


def test_distinct_texts_have_their_share_of_the_samples(samples):
    texts = exact.ReferenceTexts.of(samples)
    assert texts.share.tolist() == [[0.75, 0.25, 0.0], [0.5, 0.25, 0.25]]
    assert texts.gold.tolist() == [[1.0, 2.0, 0.0], [0.5, 3.0, -1.0]]
    assert texts.missing == pytest.approx((1 + 2) / 2 / 4)  # one text occurs once, then two
    policy = exact.reverse_optimum(texts.share, texts.gold, 0.7)
    numbers = texts.numbers(policy)
    reward, kl, effective = by_prompt(samples.rewards, 0.7)  # the same optimum, over samples
    assert numbers["gold"] == pytest.approx(reward, abs=1e-12)
    assert numbers["kl"] == pytest.approx(kl, abs=1e-12)
    assert numbers["samples"] == pytest.approx(effective, abs=1e-12)


def test_the_number_of_texts_in_effect_is_theirs_if_they_are_equally_likely():
    texts = exact.ReferenceTexts(SHARE, GOLD, np.zeros((2, 3), int), 10)
    numbers = texts.numbers(np.array([[1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0.0]]))
    assert numbers["texts"] == pytest.approx([3, 2]) and numbers["top"] == pytest.approx(
        [1 / 3, 0.5]
    )


@pytest.mark.parametrize("beta", [0.05, 1.0, 20.0])
def test_the_forward_optimum_is_stationary(beta):
    """On E_π[r] − β KL(π_ref ‖ π) with Σ π = 1: r + β π_ref/π is the same λ for every text."""
    policy = exact.forward_optimum(SHARE, GOLD, beta)
    assert policy.sum(1) == pytest.approx([1, 1]) and policy[1, 2] == 0
    known = np.where(SHARE > 0, GOLD + beta * SHARE / np.where(SHARE > 0, policy, 1), np.nan)
    assert np.nanmax(known, 1) == pytest.approx(np.nanmin(known, 1), abs=1e-6)
    texts = exact.ReferenceTexts(SHARE, GOLD, np.zeros((2, 3), int), 10)
    found = exact.forward_at(texts, 1.4)
    assert (found * GOLD).sum(1).mean() == pytest.approx(1.4, abs=1e-6)


def test_half_of_the_errors_of_each_kind_are_within_the_quartile():
    for error in collapse.ERRORS[1:]:
        drawn = collapse_runs.draw(error, (400, 400), np.random.default_rng(0))
        assert (np.abs(drawn) < collapse.QUARTILE).mean() == pytest.approx(0.5, abs=0.01)
    assert not collapse_runs.draw("none", (2,), np.random.default_rng(0)).any()


def test_gold_is_compared_at_equal_kl_on_the_line_between_two_points():
    curve = [{"kl": 0.5, "gold": 1.0}, {"kl": 1.5, "gold": 2.0}]
    assert collapse_runs._gold_at_budget(curve) == pytest.approx(1.5)


def result(student=0.0, normal=2.0, lost=-20.0, top=0.7):
    """Gold is 2.0 without an error on both tasks, and ends at these values with one."""
    count = len(collapse.BETAS)

    def row(task, error, end):
        gold = [mean(2.0)] * (count - 1) + [mean(end)]
        numbers = {name: [mean(1.0)] * count for name in ("proxy", "kl", "samples")}
        fallen = {"fallen": mean(end - 0.5 * 2.0), "peak": mean(2.0), "at_kl": mean(1.0)}
        return {"task": task, "error": error, "gold": gold, **numbers, **fallen}

    ends = {"student": student, "normal": normal}
    point = {"texts": mean(9.0), "top": mean(top, 0.05), "best": mean(3.0)}
    return {
        "betas": list(collapse.BETAS),
        "reference": point,
        "limit": point,
        "forward": point,
        "reverse": [point] * count,
        "forward_by_beta": [point] * count,
        "lost": {"reverse": mean(lost), "forward": mean(lost)},
        "missing": {"capitals": 0.02, "reviews": 0.9},
        "equal": dict.fromkeys(collapse.TASKS, mean(-1.0)),
        "rows": [row(t, e, ends.get(e, 2.0)) for t in collapse.TASKS for e in collapse.ERRORS],
    }


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({}, ("holds", "holds", "holds", "holds")),
        ({"student": 1.5, "normal": 0.5}, ("fails", "fails", "holds", "holds")),
        ({"student": 1.05, "normal": 0.95}, ("unclear", "unclear", "holds", "holds")),
        ({"lost": 3.0, "top": 0.2}, ("holds", "holds", "fails", "fails")),
    ],
)
def test_a_gain_has_fallen_below_half_of_that_without_an_error(changes, expected):
    parts = ("heavy", "light", "narrows", "single")
    found = [verdict_of(collapse, result(**changes), part) for part in parts]
    assert tuple(verdict for verdict, _ in found) == expected
    assert "2.00 ± 0.10 at its peak over β; without an error it is 2.00 ± 0.10" in found[0][1]


def test_the_recorded_texts_add_up():
    from align_core import experiments

    recorded = experiments.result("collapse")
    example = recorded["example"]
    assert sum(example["shares"]) == pytest.approx(1, abs=1e-3)
    assert len(example["texts"]) == len(example["gold"]) == len(example["errors"]["student"])
    ends = {r["error"]: r for r in recorded["rows"] if r["task"] == "reviews"}
    assert ends["none"]["gold"][-1]["mean"] > ends["normal"]["gold"][-1]["mean"]
