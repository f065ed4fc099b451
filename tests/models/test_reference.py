"""The reference: a second model, or the policy without its adapter."""

from __future__ import annotations

import copy

import torch

from align_core.models.reference import as_reference, move_towards
from tests import toy


def test_the_reference_moves_its_share_towards_the_policy():
    model, target = toy.policy(0), toy.policy(1)
    before = {name: p.clone() for name, p in model.named_parameters()}
    move_towards(model, target, 0.25)
    goals = dict(target.named_parameters())
    for name, now in model.named_parameters():
        expected = 0.75 * before[name] + 0.25 * goals[name]
        torch.testing.assert_close(now, expected, atol=1e-6, rtol=0)


def test_a_separate_reference_is_used_unchanged():
    policy, reference = toy.policy(0), toy.policy(1)
    model, mode = as_reference(policy, reference)
    with mode:
        assert model is reference


def test_the_reference_of_an_adapter_is_the_policy_without_it():
    base = toy.policy()
    plain = toy.outputs(copy.deepcopy(base))
    policy = toy.adapted(base)
    before = toy.outputs(policy)
    model, mode = as_reference(policy, None)
    with mode:
        torch.testing.assert_close(toy.outputs(model), plain, atol=1e-6, rtol=0)
    assert torch.equal(toy.outputs(policy), before), "the adapter is back afterwards"
