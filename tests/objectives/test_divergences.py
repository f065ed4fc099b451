"""Log-probabilities, entropies, divergences and their estimates, by hand and by enumeration."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from align_core import objectives
from align_core.objectives import (
    adapted_kl_coef,
    entropy,
    exact_kl,
    kl_estimate,
    realigned_logits,
    token_logprobs,
)
from tests.objectives.tensors import EXACT, differs, noise, t


def test_token_logprobs_are_those_of_the_softmax():
    logits = t([0.0, math.log(3.0)], [math.log(4.0), 0.0])
    logprobs = token_logprobs(logits, torch.tensor([1, 1]))
    torch.testing.assert_close(logprobs, t(math.log(3 / 4), math.log(1 / 5)), **EXACT)


def test_entropy_by_hand():
    logits = t([1.0, 1.0, 1.0, 1.0], [math.log(0.5), math.log(0.25), math.log(0.25), -1e9])
    assert entropy(logits).tolist() == pytest.approx([math.log(4), 1.5 * math.log(2)], abs=1e-12)


def test_a_few_rows_at_a_time_give_the_same_result(monkeypatch):
    torch.manual_seed(0)
    logits, other, tokens = torch.randn(3, 5, 7), torch.randn(3, 5, 7), torch.randint(7, (3, 5))
    whole = entropy(logits), exact_kl(logits, other), token_logprobs(logits, tokens)
    seen = []
    softmax = torch.Tensor.log_softmax
    monkeypatch.setattr(
        torch.Tensor, "log_softmax", lambda z, d: (seen.append(len(z)), softmax(z, d))[1]
    )
    assert objectives._ROW_ENTRIES == 131_072
    for entries, rows in ((15, 2), (3, 1)):  # of seven each
        seen.clear()
        monkeypatch.setattr(objectives, "_ROW_ENTRIES", entries)
        parts = entropy(logits), exact_kl(logits, other), token_logprobs(logits, tokens)
        assert max(seen) == rows
        for one, two in zip(whole, parts, strict=True):
            assert torch.equal(one, two)
    assert torch.equal(token_logprobs(logits.requires_grad_(), tokens), whole[2])


def test_exact_kl_by_hand():
    policy, reference = t(math.log(0.75), math.log(0.25)), t(math.log(0.5), math.log(0.5))
    forward = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    backward = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert exact_kl(policy, reference).item() == pytest.approx(forward, abs=1e-15)
    assert exact_kl(reference, policy).item() == pytest.approx(backward, abs=1e-15)
    assert abs(forward - backward) > 1e-2, "the direction of the KL must show"


def test_exact_kl_is_never_negative_and_zero_with_itself():
    logits = 30 * noise(200, 50).float()
    nearly = logits + 1e-6 * noise(200, 50, seed=1).float()
    for other in (logits, nearly, -logits):
        kl = exact_kl(logits, other)
        assert kl.dtype == torch.float64
        assert (kl >= 0).all()
    assert exact_kl(logits, logits).max() < 1e-12


def tiny_language(seed: int) -> dict[tuple[int, ...], torch.Tensor]:
    """Next-token logits over 3 tokens after every text of up to 2 tokens; token 0 ends a text."""
    generator = torch.Generator().manual_seed(seed)
    histories = [h for n in range(3) for h in itertools.product((1, 2), repeat=n)]
    return {h: torch.randn(3, dtype=torch.float64, generator=generator) for h in histories}


def all_texts() -> list[tuple[int, ...]]:
    """Every text that ends with token 0 or is truncated after three tokens."""
    texts = []
    for n in range(3):
        for start in itertools.product((1, 2), repeat=n):
            last_tokens = (0, 1, 2) if n == 2 else (0,)
            texts += [(*start, last) for last in last_tokens]
    return texts


def steps_of(language: dict, text: tuple[int, ...]) -> torch.Tensor:
    """The logits [T, 3] from which the tokens of the text were sampled."""
    return torch.stack([language[text[:i]] for i in range(len(text))])


def test_sequence_kl_equals_a_sum_over_all_texts():
    """Chain rule: E_π Σ_t KL_t equals Σ_y π(y) log π(y)/π_ref(y)."""
    policy, reference = tiny_language(0), tiny_language(1)
    total, brute_force, by_token = 0.0, 0.0, 0.0
    for text in all_texts():
        p, q = (
            token_logprobs(steps_of(language, text), torch.tensor(text)).sum().item()
            for language in (policy, reference)
        )
        kl = exact_kl(steps_of(policy, text), steps_of(reference, text)).sum().item()
        total += math.exp(p)
        brute_force += math.exp(p) * (p - q)
        by_token += math.exp(p) * kl
    assert total == pytest.approx(1, abs=1e-12)
    assert brute_force > 0.1
    assert by_token == pytest.approx(brute_force, abs=1e-12)


@pytest.mark.parametrize("kind", ["k1", "k3"])
def test_kl_estimates_are_unbiased(kind):
    """Their mean over all tokens, weighted by the policy, is the KL."""
    policy, reference = noise(5, 9), noise(5, 9, seed=1)
    logp, ref_logp = policy.log_softmax(-1), reference.log_softmax(-1)
    mean = (logp.exp() * kl_estimate(logp, ref_logp, kind)).sum(-1)
    torch.testing.assert_close(mean, exact_kl(policy, reference), **EXACT)
    assert differs(mean, (logp.exp() * kl_estimate(ref_logp, logp, kind)).sum(-1))


def test_kl_estimates_are_of_one_direction_only():
    """Over samples of the policy they are KL(policy ‖ reference), never the reverse."""
    logp, ref_logp = noise(9).log_softmax(-1), noise(9, seed=1).log_softmax(-1)
    other = (ref_logp.exp() * (ref_logp - logp)).sum()
    for kind in ("k1", "k3"):
        assert differs((logp.exp() * kl_estimate(logp, ref_logp, kind)).sum(), other)
        swapped = (ref_logp.exp() * kl_estimate(ref_logp, logp, kind)).sum()
        torch.testing.assert_close(swapped, other, **EXACT)


def test_k3_in_the_reward_has_the_gradient_of_a_difference_of_two_kls():
    """A policy gradient takes the reward as given. With k1 in it, it follows KL(π ‖ π_ref); with k3
    it follows KL(π ‖ π_ref) − KL(π_ref ‖ π), as E[∇log π · (r − 1)] = Σ π_ref ∇log π."""
    logits = noise(9).requires_grad_()
    ref_logp = noise(9, seed=1).log_softmax(-1)

    def gradient(loss):
        logp = logits.log_softmax(-1)
        return torch.autograd.grad(loss(logp), logits)[0]

    def in_reward(kind):
        def surrogate(logp):
            return (logp.exp() * kl_estimate(logp.detach(), ref_logp, kind)).sum()

        return gradient(surrogate)

    forward = gradient(lambda logp: (logp.exp() * (logp - ref_logp)).sum())
    backward = gradient(lambda logp: (ref_logp.exp() * (ref_logp - logp)).sum())
    torch.testing.assert_close(in_reward("k1"), forward, **EXACT)
    torch.testing.assert_close(in_reward("k3"), forward - backward, **EXACT)


@pytest.mark.parametrize("beta, best", [(2.0, 0.112), (0.3, 1.355)])
def test_k3_in_the_reward_holds_no_policy_at_any_beta(beta, best):
    """Exact policy gradients on eight responses of rewards −3 to 0; the numbers of docs/ppo.md:
    k1 ends at the KL of the optimum, k3 at log 8 = 2.08, where one response is left."""
    rewards = torch.linspace(-3.0, 0.0, 8, dtype=torch.float64)
    ref_logp = torch.full((8,), -math.log(8), dtype=torch.float64)
    optimum = (rewards / beta).log_softmax(-1)
    assert (optimum.exp() * (optimum - ref_logp)).sum().item() == pytest.approx(best, abs=1e-3)
    ends = {}
    for kind in ("k1", "k3"):
        logits = torch.zeros(8, dtype=torch.float64)
        for _ in range(4000):
            logp = logits.log_softmax(-1)
            if logp.min() < -100:  # nothing brings such a response back, and r = 1/p overflows
                break
            earned = rewards - beta * kl_estimate(logp, ref_logp, kind)
            logits = logits + 0.25 * logp.exp() * (earned - (logp.exp() * earned).sum())
        logp = logits.log_softmax(-1)
        ends[kind] = (logp.exp() * (logp - ref_logp)).sum().item()
    assert ends == pytest.approx({"k1": best, "k3": math.log(8)}, abs=5e-3)


def test_kl_estimates_by_hand():
    logp, ref_logp = t(-1.0), t(-1.5)
    assert kl_estimate(logp, ref_logp, "k1").item() == 0.5
    assert kl_estimate(logp, ref_logp, "k3").item() == pytest.approx(math.exp(-0.5) - 1 + 0.5)
    assert (kl_estimate(noise(99), noise(99, seed=1), "k3") >= 0).all()
    with pytest.raises(ValueError, match="'k2'"):
        kl_estimate(logp, ref_logp, "k2")


def test_realigned_logits_by_hand():
    policy, reference = (0.5, 0.25, 0.25), (0.2, 0.2, 0.6)
    logits, ref_logits = t(*map(math.log, policy)) + 3, t(*map(math.log, reference)) - 7
    for share in (0.0, 0.5, 1.0, 2.0):
        weights = [p**share * q ** (1 - share) for p, q in zip(policy, reference, strict=True)]
        mixed = realigned_logits(logits, ref_logits, share).softmax(-1)
        assert mixed.tolist() == pytest.approx([w / sum(weights) for w in weights], abs=1e-12)
    # At λ = 2: 0.5² / 0.2, 0.25² / 0.2 and 0.25² / 0.6, which sum to 1.6667.
    assert mixed.tolist() == pytest.approx([0.75, 0.1875, 0.0625], abs=1e-12)
    assert realigned_logits(logits, ref_logits, 1.0).equal(logits)
    assert realigned_logits(logits, ref_logits, 0.0).equal(ref_logits)


def test_an_adaptive_beta_by_hand():
    for kl, change in ((6.0, 0.0), (6.6, 0.1), (5.4, -0.1), (60.0, 0.2), (0.0, -0.2)):  # of 6
        expected = 0.5 * (1 + change * 0.25)
        assert adapted_kl_coef(0.5, kl, target=6.0, share=0.25) == pytest.approx(
            expected, abs=1e-12
        )
