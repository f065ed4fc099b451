"""Expected gradients of KL estimates, compared with sums over all texts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from align_core.experiments import kl_in_loss, token_tree
from tests.experiments.verdicts import mean, verdict_of


@pytest.fixture
def small(monkeypatch):
    """A reference, a policy and rewards of the 9 texts of 2 tokens out of 3."""
    monkeypatch.setattr(token_tree, "SIZE", 3)
    monkeypatch.setattr(token_tree, "LENGTH", 2)
    reference, rewards = token_tree.problem(0)
    policy, _ = token_tree.problem(1)
    return policy, reference, rewards


def by_hand(policy, reference, of_text):
    """Σ_y π(y) · ∂/∂logits of `of_text`(log-ratios of the tokens of y), the text y held fixed.

    `of_text` returns the derivative of the estimate by log π of each token.
    """
    size = token_tree.SIZE
    total = [np.zeros(step.shape[1:]) for step in policy]
    for tokens in itertools.product(range(size), repeat=len(policy)):
        places = [
            (int("".join(map(str, tokens[:n])) or "0", size), t) for n, t in enumerate(tokens)
        ]
        logp = [step[0][place] for step, place in zip(policy, places, strict=True)]
        ratios = np.array(
            [lp - ref[0][place] for lp, ref, place in zip(logp, reference, places, strict=True)]
        )
        for step, (prefix, token), slope, out in zip(
            policy, places, of_text(ratios), total, strict=True
        ):
            score = -np.exp(step[0][prefix])
            score[token] += 1
            out[prefix] += np.exp(sum(logp)) * slope * score
    return np.concatenate([part.ravel() for part in total])


def gradient(small, variant):
    policy, reference, _ = small
    return kl_in_loss._kl_gradient(policy, reference, kl_in_loss.VARIANTS[variant])[0]


def test_k1_in_the_reward_has_the_gradient_of_the_kl(small):
    """By finite differences of Σ π log(π/π_ref) over all texts."""
    policy, reference, _ = small
    logits = [step.copy() for step in policy]

    def kl():
        now = [token_tree.log_softmax(step) for step in logits]
        logp = token_tree.text_logprobs(now)
        return (np.exp(logp) * (logp - token_tree.text_logprobs(reference))).sum()

    slopes = []
    for step in logits:
        for place in np.ndindex(step.shape):
            ends = []
            for change in (1e-5, -2e-5):
                step[place] += change
                ends.append(kl())
            step[place] += 1e-5
            slopes.append((ends[0] - ends[1]) / 2e-5)
    assert gradient(small, "reward_k1") == pytest.approx(slopes, abs=1e-8)


@pytest.mark.parametrize(
    "variant, slope",
    [
        # k2 of the text, in the loss.
        ("reward_k1", lambda ratios: np.full(len(ratios), ratios.sum())),
        ("loss_k1", np.ones_like),
        ("loss_k3", lambda ratios: 1 - np.exp(-ratios)),
        ("loss_tokens", lambda ratios: ratios),  # k2 of each token
        # The ratio times k3, as in GRPO here: the derivatives of both factors.
        ("loss_tokens", lambda ratios: np.exp(-ratios) - 1 + ratios + 1 - np.exp(-ratios)),
    ],
)
def test_an_estimate_in_the_loss_has_the_gradient_of_its_sum_over_texts(small, variant, slope):
    policy, reference, _ = small
    assert gradient(small, variant) == pytest.approx(by_hand(policy, reference, slope), abs=1e-12)


def test_training_with_k1_in_the_reward_ends_at_the_optimum(small, monkeypatch):
    monkeypatch.setattr(token_tree, "STEPS", 1200)
    _, reference, rewards = small
    betas = np.array([1.0, 2.0])
    best, limit = token_tree.optimum(reference, rewards, betas)
    found = token_tree.trained(reference, rewards, betas, *kl_in_loss.VARIANTS["reward_k1"])
    for one, other in zip(found, best, strict=True):
        assert one == pytest.approx(other, abs=1e-6)
    logp, ref = token_tree.text_logprobs(best), token_tree.text_logprobs(reference)
    expected = (np.exp(logp) * rewards).sum(1) - betas * (np.exp(logp) * (logp - ref)).sum(1)
    assert limit == pytest.approx(expected, abs=1e-12)
    assert np.exp(logp).sum(1) == pytest.approx([1, 1])


@pytest.mark.parametrize(
    "gaps, expected",
    [((0.5, 0.4), "holds"), ((0.5, 0.0), "fails"), ((0.5, 0.012), "unclear")],
)
def test_a_variant_is_away_if_it_is_so_at_every_beta(gaps, expected, monkeypatch):
    monkeypatch.setattr(kl_in_loss, "BETAS", (1.0, 2.0))
    end = {name: [mean(1.0, 0.005)] * 2 for name in ("gold", "kl")}
    ends = {
        name: {**end, "gap": [mean(gap, 0.005) for gap in gaps]} for name in kl_in_loss.VARIANTS
    }
    ends["optimum"] = {**end, "gap": [mean(0.0)] * 2}
    verdict, why = verdict_of(kl_in_loss, {"ends": ends}, "another")
    assert verdict == expected and "it ends 0.50 ± 0.01 nats" in why
    whole = verdict_of(kl_in_loss, {"ends": ends}, "whole")[0]
    assert whole == "fails", "it is clearly away at one β"
