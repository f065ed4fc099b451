"""A reward model's exact optimum, and DPO, by the number of pairs."""

from __future__ import annotations

import numpy as np
import pytest

from align_core.experiments import pairs
from align_core.optimum import optimum
from tests.experiments.verdicts import mean, verdict_of


def test_samples_are_weighted_by_the_reward_models_scores():
    """Weights of scores 0 and β·log 3 are ¼ and ¾: gold 0.25·4 + 0.75·0 − 2 = −1."""
    scores = np.array([[0.0, pairs.BETA * np.log(3)]])
    gain, kl = pairs.reweighted(scores, np.array([[4.0, 0.0]]))
    assert gain == pytest.approx(-1)
    assert kl == pytest.approx(0.25 * np.log(0.5) + 0.75 * np.log(1.5))


def test_the_optimum_itself_has_the_whole_share(monkeypatch):
    rewards = np.random.default_rng(0).normal(size=(3, 50))
    best = optimum(rewards, pairs.BETA)
    monkeypatch.setattr(
        pairs.ReferenceSamples, "load", lambda path: type("S", (), {"rewards": rewards})
    )
    runs = [
        {
            "settings": {"pairs": size, "method": method, "seed": seed},
            "measured": {"gain": best.reward - rewards.mean(), "kl": best.kl, "accuracy": 0.9}
            if method == "reward"
            else {"gain": 0.0, "kl": 0.0, "accuracy": None},
        }
        for size in (1000, 250)
        for method in pairs.METHODS
        for seed in range(3)
    ]
    found = pairs.summary(runs)
    assert [row["pairs"] for row in found["rows"]] == [250, 1000]
    for row in found["rows"]:
        assert row["reward"]["mean"] == pytest.approx(1)
        assert row["dpo"]["mean"] == pytest.approx(0) and row["more"]["mean"] == pytest.approx(1)


def result(*differences):
    rows = [
        {
            "pairs": 250 * 4**place,
            "more": mean(more, 0.04),
            **{name: mean(0.5) for name in ("accuracy", "reward", "dpo", "reward_kl", "dpo_kl")},
        }
        for place, more in enumerate(differences)
    ]
    return {"rows": rows, "limit": 2.0, "limit_kl": 1.0}


@pytest.mark.parametrize(
    "differences, fewer, meet",
    [
        ((0.5, 0.3, 0.05), "holds", "holds"),
        ((0.5, 0.3, 0.2), "holds", "fails"),
        ((0.5, 0.3, 0.08), "holds", "unclear"),
        ((0.0, -0.3, -0.2), "fails", "fails"),
        ((0.5, 0.0, -0.05), "unclear", "holds"),
    ],
)
def test_they_meet_if_they_are_clearly_less_than_a_tenth_apart(differences, fewer, meet):
    """Each difference is ±0.04."""
    found = result(*differences)
    assert verdict_of(pairs, found, "fewer")[0] == fewer
    assert verdict_of(pairs, found, "meet")[0] == meet
