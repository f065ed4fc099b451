"""The tabular experiment of arXiv 2404.10719: gradients, compared with autograd, and outcomes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from align_core.experiments import tabular
from align_core.objectives import dpo_loss, ppo_policy_loss

ROOT = Path(__file__).parents[2]
FULL = np.ones((8, 8), dtype=bool)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def by_autograd(loss, values):
    tensor = torch.tensor(values, requires_grad=True)
    loss(tensor).backward()
    return tensor.grad.numpy()


def test_the_gradient_of_a_network_equals_autograds():
    network = tabular.Network.random(16, 3, 0.7, np.random.default_rng(0))
    x, by_outputs = random(5, 16), random(5, 3, seed=1)
    inputs, hidden, outputs = 16, tabular.HIDDEN, 3

    def outputs_of(weights):
        into, bias, out, last = weights.split([inputs * hidden, hidden, hidden * outputs, outputs])
        inside = torch.tanh(torch.tensor(x) @ into.view(inputs, hidden) + bias)
        return inside @ out.view(hidden, outputs) + last

    expected = by_autograd(
        lambda weights: (outputs_of(weights) * torch.tensor(by_outputs)).sum(), network.weights
    )
    np.testing.assert_allclose(network.gradient(x, by_outputs), expected, atol=1e-12)
    np.testing.assert_allclose(
        network.outputs(x), outputs_of(torch.tensor(network.weights)), atol=1e-12
    )


@pytest.mark.parametrize("certain", [False, True])
def test_the_gradient_of_preferences_is_of_the_mean_over_pairs(certain):
    covered = tabular.random_coverage(3, seed=4)
    covered[0] = False
    pairs = [
        (x, i, j)
        for x in range(8)
        for i in range(8)
        for j in range(i)
        if covered[x, i] and covered[x, j]
    ]
    assert len(pairs) == 7 * 3

    def loss(scores):
        total = 0.0
        for x, i, j in pairs:
            gap = tabular.GOLD[x, i] - tabular.GOLD[x, j]
            share = float(gap > 0) if certain else 1 / (1 + np.exp(-gap))
            margin = scores[x, i] - scores[x, j]
            logsigmoid = torch.nn.functional.logsigmoid
            total = total - share * logsigmoid(margin) - (1 - share) * logsigmoid(-margin)
        return total / len(pairs)

    scores = random(8, 8)
    gradient = tabular.Preferences.of(covered, certain).gradient(scores)
    np.testing.assert_allclose(gradient, by_autograd(loss, scores), atol=1e-12)


def test_the_gradient_of_dpo_by_logits_equals_that_of_its_loss():
    """With one pair and a certain rater, the gradient equals that of objectives.dpo_loss."""
    covered = np.zeros((8, 8), dtype=bool)
    covered[2, [2, 5]] = True
    preferences = tabular.Preferences.of(covered, certain=True)
    reference, logits, beta = tabular.log_softmax(random(8, 8)), random(8, 8, seed=1), 0.3

    def loss(values):
        logp, ref = values.log_softmax(1)[2], torch.tensor(reference)[2]
        return dpo_loss(logp[2], logp[5], ref[2], ref[5], beta)

    gradient = beta * preferences.gradient(beta * (tabular.log_softmax(logits) - reference))
    np.testing.assert_allclose(gradient, by_autograd(loss, logits), atol=1e-12)


def test_the_gradient_of_ppo_equals_that_of_the_clipped_surrogate():
    old, logits = tabular.log_softmax(random(8, 8)), random(8, 8, seed=1)
    shares = np.random.default_rng(2).multinomial(16, np.full(8, 1 / 8), size=8) / 128
    advantages = random(8, 8, seed=3)

    def loss(values):
        logp = values.log_softmax(1)
        terms = ppo_policy_loss(logp, torch.tensor(old), torch.tensor(advantages), tabular.CLIP)[0]
        return (torch.tensor(shares) * terms).sum()

    gradient = tabular.ppo_gradient(tabular.log_softmax(logits), old, shares * advantages)
    np.testing.assert_allclose(gradient, by_autograd(loss, logits), atol=1e-12)


def test_adam_equals_torchs():
    network = tabular.Network.random(8, 8, 0.5, np.random.default_rng(0))
    x, aim, steps = np.eye(8), random(8, 8), 20
    ours = network.trained(x, lambda outputs: outputs - aim, steps)

    weights = torch.tensor(network.weights, requires_grad=True)
    adam = torch.optim.Adam([weights], lr=tabular.LEARNING_RATE, betas=(0.9, 0.99), eps=1e-8)
    fall = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - step / steps)
    hidden = tabular.HIDDEN
    for _ in range(steps):
        into, bias, out, last = weights.split([8 * hidden, hidden, hidden * 8, 8])
        outputs = torch.tanh(into.view(8, hidden) + bias) @ out.view(hidden, 8) + last
        adam.zero_grad()
        (0.5 * (outputs - torch.tensor(aim)) ** 2).sum().backward()
        adam.step()
        fall.step()
    np.testing.assert_allclose(ours.weights, weights.detach(), atol=1e-10)


def test_the_best_response_is_on_the_diagonal_and_the_others_are_distinct():
    assert (tabular.GOLD.argmax(1) == np.arange(8)).all()
    assert (np.diagonal(tabular.GOLD) == 0).all()
    for row in tabular.GOLD:
        np.testing.assert_allclose(np.sort(row)[:-1], np.linspace(-3, -0.75, 7))


def test_with_full_coverage_both_methods_reach_the_optimum():
    for beta in (0.5, 1.0):
        outcome = tabular.train(FULL, beta, seed=0)
        np.testing.assert_allclose(outcome.learned, tabular.GOLD, atol=0.02)
        assert tabular.divergence(outcome.dpo, outcome.optimum) < 2e-3
        assert tabular.divergence(outcome.ppo, outcome.optimum) < 2e-2
        assert tabular.divergence(outcome.reference, outcome.optimum) > 0.3


def test_the_optimum_is_the_closed_form():
    reference = np.full((8, 8), 1 / 8)
    optimum = tabular.optimum(reference, 0.5, tabular.GOLD)
    expected = np.exp(tabular.GOLD[3] / 0.5)
    np.testing.assert_allclose(optimum[3], expected / expected.sum(), atol=1e-12)


def test_without_pairs_dpo_and_reward_model_stay_unchanged():
    nothing = np.zeros((8, 8), dtype=bool)
    nothing[:, 0] = True  # with one covered response there is no pair
    outcome = tabular.train(nothing, 0.5, seed=0)
    np.testing.assert_allclose(outcome.dpo, outcome.reference, atol=1e-12)
    assert np.isfinite(outcome.learned).all()


def test_coverage_has_the_requested_size_and_depends_on_the_seed():
    for responses in range(9):
        assert (tabular.random_coverage(responses, 1).sum(1) == responses).all()
    assert (tabular.random_coverage(4, 1) != tabular.random_coverage(4, 2)).any()


def test_coverage_can_always_have_the_best_response():
    for responses in range(1, 9):
        covered = tabular.random_coverage(responses, 1, best=True)
        assert covered.diagonal().all() and (covered.sum(1) == responses).all()
    assert not tabular.random_coverage(4, 1).diagonal().all()


def test_ppo_is_near_the_optimum_of_the_reward_that_it_learnt():
    """Raters are graded. The optimum of the gold reward, which PPO never saw, is far from it."""
    outcome = tabular.train(tabular.random_coverage(4, 0), 0.1, seed=0)
    assert tabular.divergence(outcome.ppo, outcome.learned_optimum) < 0.5
    assert tabular.divergence(outcome.ppo, outcome.optimum) > 3
    rewards = outcome.learned / 0.1
    weights = outcome.reference * np.exp(rewards - rewards.max(1, keepdims=True))
    expected = weights / weights.sum(1, keepdims=True)
    np.testing.assert_allclose(outcome.learned_optimum, expected, atol=1e-9)


def test_an_outcome_follows_from_its_arguments():
    first, again = (tabular.train(tabular.random_coverage(4, 0), 0.5, seed=3) for _ in range(2))
    for name, matrix in vars(first).items():
        np.testing.assert_array_equal(matrix, getattr(again, name))
        assert matrix.shape == (8, 8)
    for policy in (first.reference, first.ppo, first.dpo, first.optimum):
        np.testing.assert_allclose(policy.sum(1), 1, atol=1e-12)


def test_training_is_fast_enough_to_follow_a_slider():
    """It takes 45 ms on an idle core. The CPU time of this thread is measured, so a busy machine
    does not matter."""
    began = time.thread_time()
    for seed in range(5):
        tabular.train(tabular.random_coverage(4, seed), 0.5, seed)
    assert (time.thread_time() - began) / 5 < 0.3


def test_the_experiment_can_be_imported_by_the_page():
    code = "import sys; from align_core.experiments import tabular, coverage, frontier, "
    code += "overoptimisation; print(*sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not set(process.stdout.split()) & {"torch", "transformers", "matplotlib"}
