"""The experiment on reward and KL: its runs, the pairs that raters prefer, and its result."""

from __future__ import annotations

import pytest

from align_core.config.methods import methods
from align_core.config.model_index import reference_samples
from align_core.data.preference_files import read_preferences, stored_pairs
from align_core.experiments import frontier, frontier_runs
from align_core.experiments.claims import conclusions
from align_core.experiments.frontier_runs import SWEEPS, WIDE_BETA
from align_core.optimum import Frontier, ReferenceSamples


def runs_of(method, settings, points, seeds=(0, 1, 2)):
    """A run for each setting, which ends at (KL, gold reward above the reference)."""
    runs = []
    for seed in seeds:
        for strength, (kl, more) in zip(settings, points, strict=True):
            start = {"kl": 0.0, "gold": 1.0, "reference": 1.0}
            end = {"kl": kl, "gold": 1.0 + more + 0.1 * seed, "reference": 1.0}
            shared = {"raters": "graded", "pairs": 4000, "temperatures": [0.0, 1.0]}
            runs.append(
                {
                    "settings": {"method": method, "seed": seed, **shared, **strength},
                    "measured": {"curve": [start, end], "win_rates": [0.9, 0.5 + more / 10]},
                    "seconds": 1.0,
                }
            )
    return runs


def reward_models(raters, accuracy):
    curve = [{"kl": 0.0, "gold": 1.0}, {"kl": 1.0, "gold": 2.0}]
    return [
        {
            "settings": {"method": "best-of-n", "seed": seed, "raters": raters, "pairs": 4000},
            "measured": {"curve": curve, "accuracy": accuracy},
        }
        for seed in range(3)
    ]


@pytest.fixture
def result():
    runs = reward_models("graded", 0.8) + reward_models("certain", 0.9)
    for method, sweep in SWEEPS.items():
        ahead = 0.5 if method == "dpo" else 0.0
        points = [(1.0, 1.0 + ahead), (2.0, 1.5 + ahead)] if len(sweep.values) > 1 else [(0.5, 0.1)]
        runs += runs_of(method, [{sweep.option: value} for value in sweep.values[:2]], points)
    for method, more in (("ppo", 2.0), ("dpo", 1.6)):
        settings = {"raters": "certain", "beta": WIDE_BETA, "wide": True}
        runs += runs_of(method, [settings], [(8.0, more)])
    runs += runs_of("reference", [{}], [(0.0, 0.0)])
    return frontier.summary(runs)


def test_a_share_is_relative_to_the_optimums_gain(result):
    samples = ReferenceSamples.load(reference_samples("reviews", "probe"))
    best = Frontier.of(samples.rewards).at(1.0)[0]
    expected = (1.0 + 1.1 + 1.2) / 3 / (best - 1.0)
    assert result["shares"]["ppo"]["1"]["mean"] == pytest.approx(expected)
    assert result["dpo_over_ppo"]["1"]["mean"] == pytest.approx(0.5 / (best - 1.0))
    assert result["shares"]["best-of-n-gold"]["1"]["mean"] > 0.9
    assert result["accuracy"]["mean"] == pytest.approx(0.8)  # of the graded raters' reward models


def test_a_share_within_a_kl_is_on_the_hull_of_all_points_of_a_seed(result):
    """Points (0, 1), (1, 2 + 0.1·s), (2, 2.5 + 0.1·s) of seed s: half of the first gain at 0.5."""
    samples = ReferenceSamples.load(reference_samples("reviews", "probe"))
    frontier_of_samples = Frontier.of(samples.rewards)
    for kl, gain in ((0.5, 0.5 * 1.1), (2.0, 1.5 + 0.1)):
        expected = gain / (frontier_of_samples.at(kl)[0] - 1.0)
        assert result["shares"]["rloo"][f"{kl:g}"]["mean"] == pytest.approx(expected)


def test_the_papers_comparison_is_by_raters_pairs_and_kl(result):
    """PPO reaches (8, 3.0 + 0.1·s), DPO (8, 2.6 + 0.1·s); at 4 nats half of it, at 15 no more."""
    (row,) = result["wide"]
    assert (row["raters"], row["pairs"]) == ("certain", 4000)
    assert row["accuracy"]["mean"] == pytest.approx(0.9)
    ppo, dpo = row["ppo"]["reached"], row["dpo"]["reached"]
    assert ppo["1"]["mean"] == pytest.approx(2.1 / 8)
    assert ppo["4"]["mean"] == pytest.approx(2.1 / 2)
    assert (ppo["15"]["mean"], dpo["15"]["mean"]) == (pytest.approx(2.1), pytest.approx(1.7))
    more = row["dpo_over_ppo"]
    assert (more["4"]["mean"], more["15"]["mean"]) == (pytest.approx(-0.2), pytest.approx(-0.4))
    assert row["ppo"]["path"] == [[0.0, 1.0], [8.0, pytest.approx(3.1)]]


def test_the_win_rate_is_of_the_best_setting(result):
    rates = result["win_rates"]["dpo"]
    assert rates["setting"] == SWEEPS["dpo"].values[1]
    assert [rate["mean"] for rate in rates["rates"]] == pytest.approx([0.9, 0.7])
    # The wide runs of PPO win 0.7 of theirs, more than the 0.65 here.
    assert result["win_rates"]["ppo"]["setting"] == SWEEPS["ppo"].values[1]


def test_the_verdict_names_the_better_method(result):
    text = " ".join(conclusions(frontier, result))
    assert "DPO is clearly ahead within 0.25, 0.5, 1, 2 nats, PPO within none" in text


def test_the_shares_of_a_sentence_are_in_order(result):
    """DPO's 2 + 0.1·s at 0.5 nats is the highest from pairs; Preferred-FT's the lowest."""
    (sentence,) = [
        text for text in conclusions(frontier, result) if "within 0.5 nats of KL" in text
    ]
    paired = sentence.partition("learn from pairs, ")[2]
    assert paired.startswith("DPO ") and paired.rpartition(", ")[2].startswith("Preferred-FT ")
    assert "best-of-n (gold)" in sentence.partition("learn from pairs, ")[0]


def test_every_run_of_the_sweep_is_there_once():
    models, policies = frontier.stages(quick=False)
    assert len(models) == frontier.SEEDS * 2 * 3  # two kinds of raters, three numbers of pairs
    swept = frontier.SEEDS * (13 * 3 + 1 + 1)
    assert len(policies) == swept + frontier.SEEDS * 2 * 2 * 3
    assert policies["dpo-0.3-1"]["beta"] == 0.3 and policies["dpo-0.3-1"]["seed"] == 1
    # One epoch of 16,000 pairs in batches of 16 is longer than 300 steps.
    steps = [policies[f"wide-dpo-certain-{pairs}-0"]["steps"] for pairs in (4000, 16_000)]
    assert steps == [300, 1000]


def test_every_method_that_makes_a_policy_is_swept():
    trained = {sweep.method for sweep in SWEEPS.values()} - {"likelihood"}
    assert trained == {
        name for name, method in methods().items() if method.makes == "policy" and name != "sft"
    }


def test_certain_raters_choose_the_higher_gold_reward():
    graded = stored_pairs("reviews", 300, 7)
    assert frontier_runs.rated_pairs("graded", 300, 7) == graded
    certain = frontier_runs.rated_pairs("certain", 300, 7)
    assert all(pair["chosen_reward"] >= pair["rejected_reward"] for pair in certain)
    changed = 0
    for before, after in zip(graded, certain, strict=True):
        if before["chosen_reward"] < before["rejected_reward"]:
            changed += 1
            assert after["chosen"] == before["rejected"] and after["rejected"] == before["chosen"]
            assert after["ref_chosen_logps"] == before["ref_rejected_logps"]
            assert after["rejected_ended"] == before["chosen_ended"]
        else:
            assert after == before
    assert 30 < changed < 90  # 18% of 300 are 54


def test_the_pairs_of_certain_raters_are_read_from_a_file(tmp_path):
    path = frontier_runs._file(tmp_path, "certain", 20, 3)
    certain = frontier_runs.rated_pairs("certain", 20, 3)
    columns = ("prompt", "chosen", "rejected", "chosen_ended", "rejected_ended")
    assert read_preferences(path) == [{name: row[name] for name in columns} for row in certain]
