"""The accuracy of a reward model on pairs, with hand-made rewards."""

from __future__ import annotations

import math

import numpy as np

from align_core.evaluation.pair_accuracy import pair_accuracy
from align_core.optimum import ReferenceSamples
from tests import toy


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
    right, margin = pair_accuracy(scores(table), toy.tokenizer(), stored(gold), pairs=2)
    assert right.tolist() == [[1.0, 0.0], [0.5, 1.0]]
    assert margin.tolist() == [[3.0, -2.0], [0.0, 7.0]]


def test_gold_agrees_fully_with_itself_and_never_with_its_negative():
    gold = np.random.default_rng(0).normal(size=(3, 10))
    table = {10 * row + n: gold[row, n] for row in range(3) for n in range(10)}
    right, margin = pair_accuracy(scores(table), toy.tokenizer(), stored(gold.tolist()), pairs=5)
    assert right.shape == margin.shape == (3, 5)
    assert (right == 1).all() and (margin > 0).all()
    against = {key: -value for key, value in table.items()}
    right, margin = pair_accuracy(scores(against), toy.tokenizer(), stored(gold.tolist()), pairs=5)
    assert (right == 0).all() and (margin < 0).all()


def test_agreement_counts_the_first_pairs_of_each_prompt():
    gold = [[0.0, 1.0, 0.0, 1.0, 0.0, 1.0]] * 2
    table = {10 * row + n: math.nan if n > 3 else float(n) for row in range(2) for n in range(6)}
    right, _ = pair_accuracy(scores(table), toy.tokenizer(), stored(gold), pairs=2)
    assert right.tolist() == [[1.0, 1.0]] * 2
