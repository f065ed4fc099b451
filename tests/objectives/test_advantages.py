"""Masked means, whitening, rewards per token and GAE, by hand and against a naive sum."""

from __future__ import annotations

import pytest
import torch

from align_core.objectives import gae, masked_mean, masked_whiten, token_rewards
from tests.objectives.tensors import EXACT, MASK, differs, noise, ragged, t


def test_masked_mean_leaves_padding_out():
    x = t([1.0, 2.0, 6.0], [4.0, 100.0, -100.0])
    assert masked_mean(x, MASK).item() == (1 + 2 + 6 + 4) / 4


def test_whitening_gives_mean_zero_and_variance_one_under_the_mask():
    x, mask = 3 + 5 * noise(6, 7), ragged()
    white = masked_whiten(x, mask)
    assert white[mask].mean().item() == pytest.approx(0, abs=1e-9)
    assert white[mask].var(unbiased=False).item() == pytest.approx(1, abs=1e-6)
    assert (white[~mask] == 0).all()
    by_hand = (x - x[mask].mean()) / x[mask].std(unbiased=False)
    torch.testing.assert_close(white[mask], by_hand[mask], atol=1e-6, rtol=0)
    assert differs(white[mask], -by_hand[mask])


def test_whitening_ignores_padding():
    x, mask = noise(6, 7), ragged()
    torch.testing.assert_close(
        masked_whiten(x, mask), masked_whiten(x.masked_fill(~mask, 1e6), mask), **EXACT
    )


def test_whitening_survives_equal_advantages():
    assert (masked_whiten(t([2.0, 2.0]), torch.tensor([True, True])) == 0).all()


def test_token_rewards_have_the_kl_term_everywhere_and_the_score_at_the_end():
    kl = t([0.1, 0.2, 0.3], [0.4, 50.0, 50.0])
    rewards = token_rewards(t(2.0, -1.0), kl, MASK, beta=0.5)
    by_hand = t([-0.05, -0.1, 2.0 - 0.15], [-1.0 - 0.2, 0.0, 0.0])
    torch.testing.assert_close(rewards, by_hand, **EXACT)
    assert differs(rewards, token_rewards(t(2.0, -1.0), -kl, MASK, beta=0.5))


def test_rewards_per_token_are_added_to_the_kl_term():
    kl, scores = t([0.1, 0.2, 0.3], [0.4, 50.0, 50.0]), t([1.0, 0.0, -2.0], [3.0, 9.0, 9.0])
    by_hand = t([1.0 - 0.05, 0.0 - 0.1, -2.0 - 0.15], [3.0 - 0.2, 0.0, 0.0])
    torch.testing.assert_close(token_rewards(scores, kl, MASK, beta=0.5), by_hand, **EXACT)


def test_gae_by_hand():
    rewards, values = t([1.0, 0.0, 2.0]), t([0.5, 1.0, -1.0])
    mask, gamma, lam = torch.ones(1, 3, dtype=torch.bool), 0.9, 0.8
    delta = [1.0 + 0.9 * 1.0 - 0.5, 0.0 + 0.9 * -1.0 - 1.0, 2.0 - -1.0]
    third = delta[2]
    second = delta[1] + 0.72 * third
    first = delta[0] + 0.72 * second
    advantages, returns = gae(rewards, values, mask, gamma, lam)
    torch.testing.assert_close(advantages, t([first, second, third]), **EXACT)
    torch.testing.assert_close(returns, t([first + 0.5, second + 1.0, third - 1.0]), **EXACT)
    advantages, returns = gae(t([2.0]), t([0.5]), mask[:, :1], gamma, lam)  # of one token
    assert (advantages.item(), returns.item()) == (1.5, 2.0)


def naive_gae(rewards, values, mask, gamma, lam, sign=1.0):
    """A_t = Σ_l (γλ)^l δ_{t+l}, with each sum computed separately."""
    advantages = torch.zeros_like(rewards)
    for row, length in enumerate(mask.sum(1).tolist()):
        for start in range(length):
            for at in range(start, length):
                ahead = values[row, at + 1] if at + 1 < length else 0.0
                delta = rewards[row, at] + gamma * ahead - sign * values[row, at]
                advantages[row, start] += (gamma * lam) ** (at - start) * delta
    return advantages


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (1.0, 0.0), (1.0, 1.0)])
def test_gae_equals_a_naive_sum(gamma, lam):
    mask = ragged()
    rewards, values = noise(6, 7), noise(6, 7, seed=1)
    advantages, returns = gae(rewards, values, mask, gamma, lam)
    twin = naive_gae(rewards, values, mask, gamma, lam)
    torch.testing.assert_close(advantages, twin, **EXACT)
    torch.testing.assert_close(returns, (twin + values) * mask, **EXACT)
    assert (advantages[~mask] == 0).all() and (returns[~mask] == 0).all()
    assert differs(advantages, naive_gae(rewards, values, mask, gamma, lam, sign=-1.0))


def test_turns_have_the_advantages_of_the_text_that_they_make():
    """Rows 0, 2 and 5 are the turns of an episode, 1 and 4 those of another, and 3 is alone."""
    turn_of, mask = torch.tensor([7, 3, 7, 5, 3, 7]), ragged()
    rewards, values = noise(6, 7), noise(6, 7, seed=1)
    ours = gae(rewards, values, mask, 0.9, 0.8, turn_of)
    for turns in ([0, 2, 5], [1, 4], [3]):
        flat = [torch.cat([x[row][mask[row]] for row in turns])[None] for x in (rewards, values)]
        theirs = naive_gae(*flat, torch.ones_like(flat[0], dtype=torch.bool), 0.9, 0.8)
        advantages, returns = (torch.cat([x[row][mask[row]] for row in turns]) for x in ours)
        torch.testing.assert_close(advantages[None], theirs, **EXACT)
        torch.testing.assert_close(returns[None], theirs + flat[1], **EXACT)
    assert all((x[~mask] == 0).all() for x in ours)


def test_gae_without_discount_sums_the_remaining_rewards():
    mask = ragged()
    rewards = noise(6, 7) * mask
    _, returns = gae(rewards, noise(6, 7, seed=1), mask, 1.0, 1.0)
    torch.testing.assert_close(returns, rewards.flip(1).cumsum(1).flip(1) * mask, **EXACT)
