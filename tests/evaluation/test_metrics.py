"""The metrics of an evaluation, and the texts that are shown."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from align_core.optimum import Frontier, ReferenceSamples
from tests import toy
from tests.evaluation.toy_evaluator import PROMPTS, evaluator, proxy


def stored(prompts=PROMPTS) -> ReferenceSamples:
    shape = len(prompts), 4000
    rewards = np.random.default_rng(0).normal(size=shape)
    ones = np.ones(shape, np.uint8)
    return ReferenceSamples(list(prompts), ones[..., None], ones, ones > 0, rewards)


def test_reference_samples_have_a_mean_proxy_of_zero_and_the_policy_the_same_offset():
    evaluation = evaluator(toy.policy(1))(toy.policy(0))
    assert evaluation.reference.proxy.mean().item() == pytest.approx(0, abs=1e-9)
    raw, ref_raw = (
        torch.tensor(proxy(texts.prompts, texts.completions, texts.completion_ids)).double()
        for texts in (evaluation.policy, evaluation.reference)
    )
    torch.testing.assert_close(evaluation.policy.proxy, raw - ref_raw.mean(), atol=1e-9, rtol=0)
    again = evaluator(toy.policy(1))
    again(toy.policy(0))
    torch.testing.assert_close(again(toy.policy(0)).policy.proxy, evaluation.policy.proxy)


def test_without_a_reward_model_the_proxy_is_null():
    evaluate = evaluator(toy.policy(1), proxy=None)
    evaluation = evaluate(toy.policy(0))
    assert evaluate.metrics(evaluation)["eval/proxy_reward"] is None
    assert evaluate.samples(evaluation)[0]["policy"]["proxy_reward"] is None


def test_a_tie_counts_half():
    """The policy's texts have 2 wins, 1 tie and 1 loss against the reference's."""
    rewards = iter([[0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 0.0, -5.0]])  # the reference is scored first
    evaluate = evaluator(toy.policy(1), ["the film"], gold=lambda *_, **__: next(rewards))
    metrics = evaluate.metrics(evaluate(toy.policy(0)))
    assert metrics["eval/win_rate"] == (2 + 0.5) / 4
    assert metrics["eval/gold_reward"] == -0.5


def test_metrics_are_means_and_the_frontier_gives_the_others():
    known = Frontier.of(stored().rewards)
    evaluate = evaluator(toy.policy(1), stored=stored())
    evaluation = evaluate(toy.policy(0))
    gold, ref_gold = evaluation.policy.gold.mean().item(), evaluation.reference.gold.mean().item()
    kl = evaluation.kl.mean().item()
    assert 0.05 < kl < 3
    assert evaluate.metrics(evaluation) == {
        "eval/gold_reward": gold,
        "eval/gold_reward_reference": ref_gold,
        "eval/proxy_reward": evaluation.policy.proxy.mean().item(),
        "eval/kl": kl,
        "eval/win_rate": pytest.approx(0.5 + 0.5 * wins_minus_losses(evaluation), abs=1e-12),
        "eval/gain": pytest.approx(known.gain(gold, ref_gold), abs=1e-12),
        "eval/gain_kl": known.gain_kl,
        "eval/frontier_efficiency": pytest.approx(known.efficiency(gold, ref_gold, kl), abs=1e-12),
        "eval/entropy": evaluation.entropy.mean().item(),
        "eval/length": evaluation.length.double().mean().item(),
        "eval/prompts": 3,
        "eval/samples": 4,
    }


def test_each_side_of_the_prompts_has_its_own_means():
    subsets = {"covered": [PROMPTS[1]], "uncovered": [PROMPTS[0], PROMPTS[2]], "none": []}
    evaluate = evaluator(toy.policy(1), subsets=subsets)
    evaluation = evaluate(toy.policy(0))
    metrics = evaluate.metrics(evaluation)
    overall = {"gold_reward": evaluation.policy.gold, "kl": evaluation.kl}
    overall["gold_reward_reference"] = evaluation.reference.gold
    for name, values in overall.items():
        # Four samples per prompt, in order: rows 4 to 7 are those of the second prompt.
        first, second, third = values.double().split(4)
        assert metrics[f"eval/{name}_covered"] == pytest.approx(second.mean().item())
        others = (first.sum() + third.sum()).item() / 8
        assert metrics[f"eval/{name}_uncovered"] == pytest.approx(others)
        assert metrics[f"eval/{name}_none"] is None
    plain = evaluator(toy.policy(1))
    assert plain.metrics(plain(toy.policy(0))).items() < metrics.items()


def test_intervals_are_of_means_over_resampled_prompts():
    """Compares with each metric computed from the texts of each resampled set of prompts."""
    known, subsets = Frontier.of(stored().rewards), {"covered": PROMPTS[:2], "none": []}
    evaluate = evaluator(toy.policy(1), stored=stored(), subsets=subsets)
    evaluation = evaluate(toy.policy(0))
    gold, ref_gold = evaluation.policy.gold.tolist(), evaluation.reference.gold.tolist()
    won = [
        (ours > theirs) + 0.5 * (ours == theirs)
        for ours, theirs in zip(gold, ref_gold, strict=True)
    ]

    def mean(values, prompts):
        return np.mean([values[4 * prompt + n] for prompt in prompts for n in range(4)])

    def half(redrawn):
        low, high = np.percentile(redrawn, [2.5, 97.5])
        return pytest.approx((high - low) / 2, abs=1e-6)

    draws = np.random.default_rng(0).integers(3, size=(1000, 3))
    gains = [
        Frontier(known.grid[:, :, d]).gain(mean(gold, d), mean(ref_gold, d), known.gain_kl)
        for d in draws
    ]
    kl = evaluation.kl.tolist()
    shares = [
        Frontier(known.grid[:, :, d]).efficiency(mean(gold, d), mean(ref_gold, d), mean(kl, d))
        for d in draws
    ]
    of_two = np.random.default_rng(0).integers(2, size=(1000, 2))
    intervals = evaluate.metrics.intervals(evaluation)
    exact = {"eval/gain_kl", "eval/prompts", "eval/samples"}
    measured = set(evaluate.metrics(evaluation)) - exact
    assert {name.removesuffix("_ci95") for name in intervals} == measured
    assert intervals["eval/gold_reward_ci95"] == half([mean(gold, d) for d in draws])
    assert intervals["eval/kl_ci95"] == half([mean(kl, d) for d in draws])
    within = [share for share in shares if share is not None]  # the range of the frontier
    assert len(within) > 500 and intervals["eval/frontier_efficiency_ci95"] == half(within)
    assert intervals["eval/win_rate_ci95"] == half([mean(won, d) for d in draws])
    assert intervals["eval/gain_ci95"] == half(gains)
    assert intervals["eval/gold_reward_covered_ci95"] == half([mean(gold, d) for d in of_two])
    assert intervals["eval/gold_reward_none_ci95"] is None


def wins_minus_losses(evaluation) -> float:
    return (evaluation.policy.gold - evaluation.reference.gold).sign().mean().item()


def test_gain_and_efficiency_use_only_prompts_with_a_known_optimum():
    known = stored([PROMPTS[2], "another prompt", PROMPTS[0]])
    evaluate = evaluator(toy.policy(1), stored=known)
    evaluation = evaluate(toy.policy(0))
    rows = torch.tensor([0, 1, 2, 3, 8, 9, 10, 11])  # four samples for the first and the third
    gold, ref_gold, kl = (
        values[rows].mean().item()
        for values in (evaluation.policy.gold, evaluation.reference.gold, evaluation.kl)
    )
    frontier = Frontier.of(known.rewards[[2, 0]])
    metrics = evaluate.metrics(evaluation)
    assert metrics["eval/gain"] == pytest.approx(frontier.gain(gold, ref_gold), abs=1e-12)
    efficiency = frontier.efficiency(gold, ref_gold, kl)
    assert metrics["eval/frontier_efficiency"] == pytest.approx(efficiency, abs=1e-12)
    unknown = evaluator(toy.policy(1), stored=stored(["another prompt"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy warns of a mean over no prompts
        assert unknown.metrics(evaluation)["eval/gain"] is None


def test_without_a_frontier_gain_and_efficiency_are_null():
    evaluate = evaluator(toy.policy(1))
    metrics = evaluate.metrics(evaluate(toy.policy(0)))
    assert metrics["eval/gain"] is None and metrics["eval/frontier_efficiency"] is None


def test_shown_texts_are_the_first_samples_and_the_worst_of_the_reference_come_first():
    evaluate = evaluator(toy.policy(1))
    evaluation = evaluate(toy.policy(0))
    rows = sorted(range(0, 4 * len(PROMPTS), 4), key=lambda row: evaluation.reference.gold[row])
    assert rows != sorted(rows), "the test needs a changed order of prompts"
    shown = evaluate.samples(evaluation)
    assert [entry["prompt"] for entry in shown] == [PROMPTS[row // 4] for row in rows]
    assert len(evaluate.samples(evaluation, prompts=2)) == 2
    for entry, row in zip(shown, rows, strict=True):
        for side, texts in (("policy", evaluation.policy), ("reference", evaluation.reference)):
            assert entry[side]["text"] == texts.completions[row]
            assert entry[side]["gold_reward"] == texts.gold[row].item()
            assert entry[side]["proxy_reward"] == texts.proxy[row].item()
        tokens = entry["policy"]["tokens"]
        assert "".join(token["text"] for token in tokens) == entry["policy"]["text"]
        assert [token["logp"] for token in tokens] == evaluation.logp[row]
        assert [token["ref_logp"] for token in tokens] == evaluation.ref_logp[row]
        assert entry["policy"]["kl"] == evaluation.kl[row].item()
