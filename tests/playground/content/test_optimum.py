"""The data of the optimum, checked against the stored samples."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from align_core.config import model_index
from align_core.config.task_card import BUILT_IN
from align_core.evaluation import prepared
from align_core.optimum import MAX_KL, ReferenceSamples, chi_squared_ratios
from align_core.tasks import load_task
from playground.content import optimum, summaries


@pytest.fixture(params=BUILT_IN)
def task(request):
    return request.param


def test_the_target_is_the_reweighted_mean(task):
    rewards = ReferenceSamples.load(model_index.reference_samples(task, "probe")).rewards
    w = np.exp(rewards / 0.7)
    w /= w.sum(-1, keepdims=True)
    target = optimum.of_task(task).at(0.7)
    assert target["gain"] == pytest.approx((w * rewards).sum(-1).mean() - rewards.mean(), abs=1e-4)
    kl = (w * np.log(w * rewards.shape[-1])).sum(-1).mean()
    assert target["kl"] == pytest.approx(kl, abs=1e-4)
    assert target["known"]


def test_the_target_lies_on_the_frontier(task):
    frontier = np.array(optimum.of_task(task).frontier["curve"])
    for beta in (0.5, 1, 4):
        target = optimum.of_task(task).at(beta)
        limit = np.interp(target["kl"], frontier[:, 0], frontier[:, 1])
        assert target["gain"] == pytest.approx(limit, abs=0.01)


def test_the_full_gain_is_the_gain_at_a_kl_of_two(task):
    frontier = optimum.of_task(task).frontier
    curve = np.array(frontier["curve"])
    full_gain = np.interp(2.0, curve[:, 0], curve[:, 1])
    assert full_gain == pytest.approx(frontier["full_gain"], abs=0.001)


def test_the_target_is_known_wherever_the_frontier_is_drawn(task):
    end, _ = optimum.of_task(task).frontier["curve"][-1]
    targets = [optimum.of_task(task).at(beta) for beta in (0.05, 0.08, 0.12, 1, 20)]
    assert [target["known"] for target in targets] == [
        target["kl"] <= end + 1e-6 for target in targets
    ]
    assert targets[0]["known"] == (task == "capitals"), (
        "reviews have too few effective samples at this β"
    )


def test_beyond_the_best_reward_the_frontier_is_flat():
    rewards = ReferenceSamples.load(model_index.reference_samples("capitals", "probe")).rewards
    best = rewards.max(-1)
    kl = np.log(rewards.shape[-1] / (rewards == best[:, None]).sum(-1)).mean()  # at β = 0
    *_, reached, end = optimum.of_task("capitals").frontier["curve"]
    assert reached == pytest.approx([kl, best.mean() - rewards.mean()], abs=1e-4)
    assert end == [MAX_KL, reached[1]]
    *_, (end, _) = optimum.of_task("reviews").frontier["curve"]
    assert end < MAX_KL, "few samples equal the best review"


def test_best_of_n_stays_below_the_limit(task):
    frontier = optimum.of_task(task).frontier
    curve = np.array(frontier["curve"])
    for _, kl, gain in frontier["best_of"]:
        if kl <= curve[-1, 0]:
            assert gain <= np.interp(kl, curve[:, 0], curve[:, 1]) + 0.01


def test_the_texts_are_samples_with_the_tasks_own_rewards(task):
    for texts in (
        optimum.of_task(task).frontier["texts"],
        optimum.of_task(task).at(0.3)["texts"],
    ):
        assert [text["prompt"] for text in texts] == load_task(task).prompts("probe")
        rewards = load_task(task).reward(
            [text["prompt"] for text in texts],
            [text["text"] for text in texts],
            ended=[True] * len(texts),
        )
        page_rewards = [text["gold_reward"] for text in texts]
        # The stored reward of a truncated sample includes the penalty for a missing end.
        same = [abs(a - b) < 1e-3 for a, b in zip(page_rewards, rewards, strict=True)]
        assert sum(same) >= 0.95 * len(same)


def test_a_text_has_its_log_ratio_under_the_optimum(task):
    stored = ReferenceSamples.load(model_index.reference_samples(task, "probe"))
    texts = optimum.of_task(task).at(0.7)["texts"]
    log_z = np.log(np.exp(stored.rewards / 0.7).mean(-1))  # [P]
    earned = np.array([text["gold_reward"] for text in texts])
    log_ratios = [text["log_ratio"] for text in texts]
    assert log_ratios == pytest.approx(earned / 0.7 - log_z, abs=2e-4)


def test_with_few_effective_samples_a_text_has_no_log_ratio():
    stored = ReferenceSamples.load(model_index.reference_samples("reviews", "probe"))
    w = np.exp((stored.rewards - stored.rewards.max(-1, keepdims=True)) / 0.1)
    many = w.sum(-1) ** 2 / (w**2).sum(-1) >= 100
    assert 0 < many.sum() < len(many)
    has_log_ratio = ["log_ratio" in text for text in optimum.of_task("reviews").at(0.1)["texts"]]
    assert has_log_ratio == many.tolist()
    assert not any("log_ratio" in text for text in optimum.of_task("reviews").at(0)["texts"])


def test_a_smaller_beta_never_gives_texts_of_lower_reward(task):
    betas = (20, 5, 1, 0.2, 0)
    earned = [[t["gold_reward"] for t in optimum.of_task(task).at(b)["texts"]] for b in betas]
    assert (np.diff(earned, axis=0) >= 0).all()


def test_without_a_kl_penalty_there_is_no_target(task):
    target = optimum.of_task(task).at(0)
    assert (target["kl"], target["gain"], target["known"]) == (None, None, False)


@pytest.mark.parametrize("named", ["../reviews", "<b>", {"a": 1}, None])
def test_an_unknown_task_counts_as_the_first(named):
    first, second = (optimum.of_task(name) for name in BUILT_IN)
    query = {"task": named, "model": named}
    assert optimum.frontier(query) == optimum.frontier(named) == first.frontier != second.frontier
    assert optimum.target({**query, "beta": 1}) == first.at(1.0)
    assert optimum.frontier({"task": "capitals", "model": "pretrained"}) == second.frontier


def test_the_target_is_the_optimum_that_the_method_seeks(task):
    rewards = ReferenceSamples.load(model_index.reference_samples(task, "probe")).rewards
    query = {"task": task, "model": f"sft-{task}", "beta": 0.5}
    assert optimum.target({**query, "sought": "kl"}) == optimum.target(query)
    own = optimum.target({**query, "sought": "chi2"})
    z = chi_squared_ratios(rewards, 0.5)
    assert own["gain"] == pytest.approx((z * rewards).mean() - rewards.mean(), abs=1e-4)
    assert own["known"] and "texts" not in own
    for sought in ("grouped", "<b>", ["kl"], None):
        other = optimum.target({**query, "sought": sought})
        assert other == {"beta": 0.5, "kl": None, "gain": None, "samples": None, "known": False}
    assert optimum.target({**query, "beta": 0, "sought": "chi2"})["kl"] is None


def test_a_run_is_compared_only_with_the_optimum_that_it_seeks(task):
    config = {"task": task, "model": f"sft-{task}", "method": "dpo", "beta": 0.5}
    target, point = summaries._target(config), optimum.of_task(task).point(0.5)
    assert target == (point["gain"], point["kl"])
    assert summaries._target({**config, "loss": "chipo"}) is None


@pytest.mark.parametrize("beta", [None, "x", -1, math.nan, math.inf])
def test_an_invalid_beta_counts_as_the_largest_of_the_slider(beta):
    assert optimum.target({"task": "reviews", "model": "sft-reviews", "beta": beta})["beta"] == 20


def test_a_recorded_run_is_as_far_below_the_frontier_as_its_efficiency(task):
    """`eval/gain` times the full gain is the run's height in the frontier chart.

    Gain and efficiency count from the reference's few texts of the run, the chart's heights from
    all stored ones, whose mean is another.
    """
    target = optimum.of_task(task)
    stored = prepared.stored_samples(task, f"sft-{task}", "probe").rewards.mean()
    curve = np.array(target.frontier["curve"])
    shares = []
    for log in (model_index.ASSETS / "presets").glob("*/events.jsonl"):
        config = json.loads(log.with_name("config.json").read_text())
        if config["task"] != task:
            continue
        for event in map(json.loads, log.read_text().splitlines()):
            metrics = event.get("metrics", {})
            if (metrics.get("eval/kl") or 0) > 0.25 and metrics.get("eval/frontier_efficiency"):
                limit = np.interp(metrics["eval/kl"], curve[:, 0], curve[:, 1])
                higher = metrics["eval/gold_reward_reference"] - stored
                gained = metrics["eval/gain"] * (target.frontier["full_gain"] - higher)
                shown = gained / (limit - higher)
                shares.append(shown - metrics["eval/frontier_efficiency"])
    assert len(shares) > 10
    assert np.abs(shares).max() < 0.01
