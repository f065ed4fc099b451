"""Best-of-n, against all its texts, and the bound of its KL against the exact one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from align_core.data.encoding import encode_prompts
from align_core.models.best_of import BestOf
from align_core.models.sampling import Responses, sample
from align_core.optimum import best_of_n
from tests import toy
from tests.evaluation.toy_evaluator import PROMPTS, evaluator


def written(texts: list[list[int]]) -> Responses:
    """Responses of these tokens; 0 ends a text."""
    length = max(map(len, texts))
    tokens = torch.tensor([row + [1] * (length - len(row)) for row in texts])
    mask = torch.tensor([[t < len(row) for t in range(length)] for row in texts])
    ended = torch.tensor([row[-1] == 0 for row in texts])
    return Responses(tokens, mask, ended, -1.0 * tokens * mask)


def test_the_best_of_three_rounds_by_hand():
    rounds = [[[5, 0], [6, 0], [7, 0]], [[3, 4, 4], [3, 0], [8, 0]], [[2, 0], [9, 9, 9, 0], [4, 0]]]
    # Row 0: the second is best. Row 1: the third. Row 2: the first is as good as the second.
    rewards = [[0.0, -1.0, 2.0], [1.0, -2.0, 2.0], [0.5, 3.0, math.nan]]
    texts, scores = iter(map(written, rounds)), iter(rewards)
    best = BestOf(3, by_reward_model=False, seed=0)(
        3, lambda _: next(texts), lambda _: next(scores)
    )
    assert best.ids() == [[3, 4, 4], [9, 9, 9, 0], [7, 0]]
    assert best.ended.tolist() == [False, True, True]
    assert best.logp.tolist() == [[-3, -4, -4, 0], [-9, -9, -9, 0], [-7, 0, 0, 0]]


def test_each_text_has_noise_of_its_own_that_the_seed_fixes():
    prompts, drawn = encode_prompts(toy.tokenizer(), PROMPTS), []

    def write(draw):
        settings = {"max_new_tokens": 10, "end_ids": [0], "pad_id": 1}
        drawn.append(sample(toy.policy(0), prompts, draw, **settings))
        return drawn[-1]

    for seed in (0, 0, 1):
        BestOf(3, by_reward_model=False, seed=seed)(3, write, lambda _: [0.0] * 3)
    texts = [str(each.ids()) for each in drawn]
    assert texts[:3] == texts[3:6] and len(set(texts)) == 6


def test_the_bound_of_the_kl_is_reached_without_ties_only():
    """At 4 texts: log 4 − 3/4 = 0.636 nats, which 4096 distinct rewards come near."""
    bound = BestOf(4, by_reward_model=False, seed=0).kl_bound
    assert bound == pytest.approx(0.6363, abs=1e-4)
    for rewards, least in ((np.arange(4096.0), bound - 1e-3), (np.arange(4096.0) // 2048, 0)):
        assert least < best_of_n(rewards[None], 4)[1] < bound


@pytest.mark.parametrize("by_reward_model", [False, True])
def test_an_evaluation_of_the_best_texts(by_reward_model):
    """KL and entropy are unknown; the bound counts the policy's distance from its reference."""
    reference, policy = toy.policy(5), toy.policy(0)
    best_of = BestOf(4, by_reward_model, seed=0)
    evaluate = evaluator(reference, best_of=best_of)
    evaluation, plain = evaluate(policy), evaluator(reference)(policy)
    better = evaluation.policy.proxy if by_reward_model else evaluation.policy.gold
    assert better.mean() > (plain.policy.proxy if by_reward_model else plain.policy.gold).mean()
    metrics = evaluate.metrics(evaluation) | evaluate.metrics.intervals(evaluation)
    assert metrics["eval/kl"] is metrics["eval/entropy"] is metrics["eval/kl_ci95"] is None
    texts = zip(evaluation.logp, evaluation.ref_logp, strict=True)
    ratios = [sum(own) - sum(other) for own, other in texts]
    expected = math.log(4) - 3 / 4 + sum(ratios) / len(ratios)
    assert metrics["eval/kl_bound"] == pytest.approx(expected, abs=1e-5)
    assert metrics["eval/kl_bound_ci95"] > 0
    assert metrics["eval/win_rate"] is not None
