"""The accuracy of a reward model on pairs, with hand-made rewards."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from align_core.build.assets import FEW_PAIRS
from align_core.evaluation.intervals import bootstrap_rows, ci95
from align_core.evaluation.pair_accuracy import pair_accuracy, rater_scale
from align_core.evaluation.reward_models import _scale
from align_core.inference import queries
from align_core.optimum import ReferenceSamples
from playground import text
from tests import toy

ROOT = Path(__file__).parents[2]


def stored(rewards: list[list[float]]) -> ReferenceSamples:
    """Texts of one token, whose id is 10·prompt + sample."""
    shape = len(rewards), len(rewards[0])
    ids = 10 * np.arange(shape[0])[:, None] + np.arange(shape[1])
    tokens = np.stack([ids, np.ones(shape)], -1).astype(np.uint16)
    return ReferenceSamples(
        [f"prompt {row}" for row in range(shape[0])],
        tokens,
        np.ones(shape, np.uint8),
        np.ones(shape, bool),
        np.array(rewards),
    )


def scores(table: dict[int, float]):
    def proxy(prompts, completions, completion_ids):
        assert prompts == [f"prompt {ids[0] // 10}" for ids in completion_ids]
        return [table[ids[0]] for (*ids,) in completion_ids]

    return proxy


def test_agreement_with_gold_on_rewards_made_by_hand():
    gold = [[1.0, 2.0, 5.0, 5.0, 3.0, 0.0], [0.0, 9.0, 1.0, 0.0, 7.0, 7.0]]
    table = {0: 1.0, 1: 4.0, 4: 0.5, 5: 2.5, 10: 3.0, 11: 3.0, 12: 8.0, 13: 1.0}
    right, margin, better_by = pair_accuracy(scores(table), toy.tokenizer(), stored(gold), pairs=2)
    assert right.tolist() == [[1.0, 0.0], [0.5, 1.0]]
    assert margin.tolist() == [[3.0, -2.0], [0.0, 7.0]]
    assert better_by.tolist() == [[1.0, 3.0], [9.0, 1.0]]
    odd = [[*row, 8.0] for row in gold]  # the last text has no other one
    again = pair_accuracy(scores(table), toy.tokenizer(), stored(odd), pairs=2)
    assert [values.tolist() for values in again] == [x.tolist() for x in (right, margin, better_by)]


def test_gold_agrees_fully_with_itself_and_never_with_its_negative():
    gold = np.random.default_rng(0).normal(size=(3, 10))
    table = {10 * row + n: gold[row, n] for row in range(3) for n in range(10)}
    right, margin, _ = pair_accuracy(scores(table), toy.tokenizer(), stored(gold.tolist()), pairs=5)
    assert right.shape == margin.shape == (3, 5)
    assert (right == 1).all() and (margin > 0).all()
    against = {key: -value for key, value in table.items()}
    right, margin, _ = pair_accuracy(
        scores(against), toy.tokenizer(), stored(gold.tolist()), pairs=5
    )
    assert (right == 0).all() and (margin < 0).all()


def test_agreement_counts_the_first_pairs_of_each_prompt():
    gold = [[0.0, 1.0, 0.0, 1.0, 0.0, 1.0]] * 2
    table = {10 * row + n: math.nan if n > 3 else float(n) for row in range(2) for n in range(6)}
    right, *_ = pair_accuracy(scores(table), toy.tokenizer(), stored(gold), pairs=2)
    assert right.tolist() == [[1.0, 1.0]] * 2


def test_the_scale_is_that_of_the_raters():
    """Scores of 3 times the gold reward are 3 times too sure: raters choose by σ(3·Δr/3)."""
    gold = np.random.default_rng(0).normal(size=200) * 2
    for factor in (0.5, 1.0, 3.0):
        assert rater_scale(factor * gold, gold) == pytest.approx(1 / factor, abs=1e-5)
    assert rater_scale(-2 * gold, gold) == pytest.approx(-0.5, abs=1e-5)
    assert rater_scale(np.zeros(3), gold[:3]) is None
    assert rater_scale(gold / 1000, gold) == pytest.approx(100, abs=1e-5), "the most that is sought"


def test_prompts_without_enough_unequal_rewards_give_no_number():
    none = pair_accuracy(scores({}), toy.tokenizer(), stored([[1.0, 1.0, 0.0, 2.0]] * 3), pairs=2)
    assert [tuple(values.shape) for values in none] == [(0, 2)] * 3


def test_the_scale_minimises_the_cross_entropy_with_the_raters():
    rng = np.random.default_rng(1)
    gold, margins = rng.normal(size=300), rng.normal(size=300)
    margins = margins + gold  # right on most pairs, and not in proportion

    def loss(a):
        shares = 1 / (1 + np.exp(-gold))
        return (
            shares * np.logaddexp(0, -a * margins) + (1 - shares) * np.logaddexp(0, a * margins)
        ).sum()

    best = rater_scale(margins, gold)
    assert best is not None and 0.2 < best < 0.8
    assert loss(best) < min(loss(best - 0.01), loss(best + 0.01))


def test_the_interval_of_the_scale_is_over_prompts():
    rng = np.random.default_rng(2)
    gold = rng.normal(size=(12, 3))
    margin = 2 * gold + rng.normal(size=gold.shape)
    found = _scale(margin, gold)
    redrawn = [
        rater_scale(np.concatenate(margin[rows]), np.concatenate(gold[rows]))
        for rows in bootstrap_rows(12)
    ]
    assert found == {
        "scale": rater_scale(margin.ravel(), gold.ravel()),
        "scale_ci95": ci95(redrawn),
    }
    assert _scale(margin[:0], gold[:0]) == {"scale": None, "scale_ci95": None}


@pytest.mark.slow
@pytest.mark.parametrize(
    "model, scale",
    [
        ("reward-capitals-few", 0.386),
        ("reward-capitals", 0.975),
        ("reward-reviews", 1.004),
        ("reward-reviews-off", 0.946),
    ],
)
def test_a_reward_model_of_few_pairs_is_too_sure(model, scale):
    report = queries.evaluate(model, model.split("-")[1], None, prompts=128, seed=0)
    assert report["scale"] == pytest.approx(scale, abs=5e-3)
    documents = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert f"{report['scale']:.2f} ± {report['scale_ci95']:.2f}" in documents
    if model.endswith("few"):
        for language in text.languages():
            aim = text.load(language)["presets"]["cards"]["reward-hacking"]["aim"]
            assert f" {1 / report['scale']:.1f} " in aim and f"{FEW_PAIRS['capitals']:,} " in aim
