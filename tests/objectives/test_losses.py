"""Losses by hand, and their gradients."""

from __future__ import annotations

import math

import pytest
import torch

from align_core.objectives import (
    bradley_terry_loss,
    dpo_loss,
    likelihood_loss,
    ppo_policy_loss,
    ppo_value_loss,
)
from tests.objectives.tensors import EXACT, noise, t


def test_bradley_terry_by_hand():
    loss = bradley_terry_loss(t(2.0, 0.0, -1.0), t(0.5, 0.0, 3.0))
    by_hand = [math.log(1 + math.exp(-margin)) for margin in (1.5, 0.0, -4.0)]
    assert loss.tolist() == pytest.approx(by_hand, abs=1e-12)
    flipped = [math.log(1 + math.exp(margin)) for margin in (1.5, 0.0, -4.0)]
    assert loss.tolist() != pytest.approx(flipped, abs=1e-3)


def test_likelihood_by_hand():
    chosen, rejected = t(-2.0, -1.0), t(-5.0, -0.5)
    torch.testing.assert_close(likelihood_loss(chosen, rejected, 0.0), t(2.0, 1.0))
    torch.testing.assert_close(likelihood_loss(chosen, rejected, 0.5), t(-0.5, 0.75))


def test_dpo_by_hand():
    loss = dpo_loss(t(-3.0), t(-5.0), t(-3.5), t(-4.0), beta=0.4)
    margin = 0.4 * ((-3.0 + 3.5) - (-5.0 + 4.0))
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-margin)), abs=1e-12)
    assert loss.item() != pytest.approx(math.log(1 + math.exp(margin)), abs=1e-2)
    without_reference = 0.4 * (-3.0 + 5.0)
    assert loss.item() != pytest.approx(math.log(1 + math.exp(-without_reference)), abs=1e-2)


def test_dpo_starts_at_log_two_for_every_beta():
    logps = noise(2, 8)
    for beta in (0.05, 0.5, 5.0):
        loss = dpo_loss(*logps, *logps, beta)
        assert loss.tolist() == pytest.approx([math.log(2)] * 8, abs=1e-12)


def test_dpo_gradient_equals_the_papers():
    """−β σ(r̂_l − r̂_w) (∇ log π(y_w) − ∇ log π(y_l)): section 4 of arXiv 2305.18290."""
    beta, (ref_chosen, ref_rejected) = 0.7, noise(2, 8, seed=1)
    chosen, rejected = (row.clone().requires_grad_() for row in noise(2, 8))
    dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta).sum().backward()
    with torch.no_grad():
        wrong = beta * ((rejected - ref_rejected) - (chosen - ref_chosen))
        weight = beta * torch.sigmoid(wrong)
    torch.testing.assert_close(chosen.grad, -weight, **EXACT)
    torch.testing.assert_close(rejected.grad, weight, **EXACT)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "clipped"),
    [
        (1.0, 2.0, -2.0, False),
        (1.1, 2.0, -2.2, False),
        (1.5, 2.0, -2.4, True),  # with a positive advantage, clipped at 1 + 0.2
        (0.5, 2.0, -1.0, False),
        (0.5, -2.0, 1.6, True),  # with a negative advantage, clipped at 1 − 0.2
        (1.5, -2.0, 3.0, False),
    ],
)
def test_ppo_policy_loss_by_hand(ratio, advantage, loss, clipped):
    old = t([-2.0])
    losses, active = ppo_policy_loss(old + math.log(ratio), old, t([advantage]), cliprange=0.2)
    assert losses.item() == pytest.approx(loss, abs=1e-12)
    assert active.item() is clipped
    flipped, _ = ppo_policy_loss(old + math.log(ratio), old, t([-advantage]), cliprange=0.2)
    assert flipped.item() != pytest.approx(loss, abs=1e-3)


def test_ppo_gradient_starts_as_the_policy_gradient():
    """At ratio 1 the gradient is −A ∇ log π; where the clip is active it is 0."""
    old, advantages = noise(5), t(1.0, -2.0, 0.5, 3.0, -3.0)
    logp = (old + t(0.0, 0.0, 0.0, 1.0, -1.0)).requires_grad_()
    ppo_policy_loss(logp, old, advantages, 0.2)[0].sum().backward()
    torch.testing.assert_close(logp.grad, t(-1.0, 2.0, -0.5, 0.0, 0.0), **EXACT)


@pytest.mark.parametrize(
    ("value", "target", "loss", "clipped"),
    [
        (1.1, 2.0, 0.5 * 0.9**2, False),
        (1.8, 2.0, 0.5 * 0.8**2, True),  # clipped to 1.2: the larger error counts
        (0.0, 2.0, 0.5 * 2.0**2, False),  # a move away from the target is not clipped
        (0.4, 0.0, 0.5 * 0.8**2, True),
    ],
)
def test_ppo_value_loss_by_hand(value, target, loss, clipped):
    losses, active = ppo_value_loss(t([value]), t([1.0]), t([target]), cliprange=0.2)
    assert losses.item() == pytest.approx(loss, abs=1e-12)
    assert active.item() is clipped
    flipped, _ = ppo_value_loss(t([value]), t([1.0]), t([target - 3.0]), cliprange=0.2)
    assert flipped.item() != pytest.approx(loss, abs=1e-3)


def test_rounding_is_no_clipping():
    """Within the clip range the clipped value equals the value exactly, at any magnitude."""
    torch.manual_seed(0)
    old, returns = 3 * torch.randn(10_000), torch.randn(10_000)
    values = old + 1e-3 * torch.randn(10_000)
    assert not ppo_value_loss(values, old, returns, 5.0)[1].any()


def test_ppo_value_gradient_goes_towards_the_return():
    value = t(0.5, 1.5).requires_grad_()
    ppo_value_loss(value, t(0.5, 1.5), t(1.0, 1.0), 0.2)[0].sum().backward()
    torch.testing.assert_close(value.grad, t(-0.5, 0.5), **EXACT)
