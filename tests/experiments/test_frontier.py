"""The experiment on reward and KL: its runs and its verdicts."""

from __future__ import annotations

import pytest

from align_core.config.model_index import reference_samples
from align_core.experiments import frontier
from align_core.experiments.claims import conclusions
from align_core.optimum import Frontier, ReferenceSamples


def runs_of(method, sweep, points, seeds=(0, 1, 2)):
    """A run for each setting of the sweep, which ends at (KL, gold reward above the reference)."""
    runs = []
    for seed in seeds:
        for strength, (kl, more) in zip(sweep, points, strict=True):
            start = {"kl": 0.0, "gold": 1.0, "reference": 1.0}
            end = {"kl": kl, "gold": 1.0 + more + 0.1 * seed, "reference": 1.0}
            temperatures = {"temperatures": [0.0, 1.0]}
            runs.append(
                {
                    "settings": {"method": method, "seed": seed, **strength, **temperatures},
                    "found": {"curve": [start, end], "win_rates": [0.9, 0.5 + more / 10]},
                    "seconds": 1.0,
                }
            )
    return runs


@pytest.fixture
def result():
    runs = []
    for method, sweep in frontier.SWEEPS.items():
        ahead = 0.5 if method == "dpo" else 0.0
        points = [(1.0, 1.0 + ahead), (2.0, 1.5 + ahead)] if len(sweep) > 1 else [(0.5, 0.1)]
        runs += runs_of(method, sweep[:2], points)
    for seed in range(3):
        curve = [{"kl": 0.0, "gold": 1.0}, {"kl": 1.0, "gold": 2.0}]
        settings = {"method": "best-of-n", "seed": seed}
        runs.append({"settings": settings, "found": {"curve": curve, "accuracy": 0.8}})
    runs += runs_of("reference", [{}], [(0.0, 0.0)])
    return frontier.summary(runs)


def test_a_share_is_relative_to_the_optimums_gain(result):
    samples = ReferenceSamples.load(reference_samples("reviews", "probe"))
    best = Frontier.of(samples.rewards).at(1.0)[0]
    expected = (1.0 + 1.1 + 1.2) / 3 / (best - 1.0)
    assert result["shares"]["ppo"]["1"]["mean"] == pytest.approx(expected)
    assert result["dpo_over_ppo"]["1"]["mean"] == pytest.approx(0.5 / (best - 1.0))
    assert result["shares"]["best-of-n-gold"]["1"]["mean"] > 0.9


def test_the_win_rate_is_of_the_best_setting(result):
    rates = result["win_rates"]["dpo"]
    assert rates["setting"] == frontier.BETAS[1]
    assert [rate["mean"] for rate in rates["rates"]] == pytest.approx([0.9, 0.7])


def test_the_verdict_names_the_better_method(result):
    text = " ".join(conclusions(frontier, result))
    assert "DPO is clearly ahead within 0.25, 0.5, 1, 2 nats, PPO within none" in text


def test_every_run_of_the_sweep_is_there_once():
    reward_models, policies = frontier.stages(quick=False)
    assert len(reward_models) == frontier.SEEDS
    assert len(policies) == frontier.SEEDS * (4 + 4 + 4 + 4 + 1 + 1)
    assert policies["dpo-0.3-1"]["beta"] == 0.3 and policies["dpo-0.3-1"]["seed"] == 1
