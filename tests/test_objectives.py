"""Losses, advantages and divergences, compared with arithmetic written out here."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from datasets import Dataset

from align_core import objectives
from align_core.objectives import (
    adapted_kl_coef,
    bradley_terry_loss,
    dpo_loss,
    entropy,
    exact_kl,
    gae,
    kl_estimate,
    likelihood_loss,
    masked_mean,
    masked_whiten,
    ppo_policy_loss,
    ppo_value_loss,
    token_logprobs,
    token_rewards,
)
from align_core.trainers import dpo, reward
from tests import toy

MASK = torch.tensor([[True, True, True], [True, False, False]])
EXACT = {"atol": 1e-12, "rtol": 0}


def t(*values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def ragged(batch: int = 6, length: int = 7, seed: int = 0) -> torch.Tensor:
    """A mask of texts with the lengths 1, 2, 3, …"""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, length + 1, (batch, 1), generator=generator)
    lengths[0], lengths[1] = 1, length
    return torch.arange(length) < lengths


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def differs(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two results are far apart, as after a flipped sign."""
    return bool((a - b).abs().max() > 1e-3)


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


def test_an_adaptive_beta_by_hand():
    for kl, change in ((6.0, 0.0), (6.6, 0.1), (5.4, -0.1), (60.0, 0.2), (0.0, -0.2)):  # of 6
        expected = 0.5 * (1 + change * 0.25)
        assert adapted_kl_coef(0.5, kl, target=6.0, share=0.25) == pytest.approx(
            expected, abs=1e-12
        )


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


def test_dpo_starts_at_log_two_whatever_beta():
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


def test_gae_without_discount_sums_the_remaining_rewards():
    mask = ragged()
    rewards = noise(6, 7) * mask
    _, returns = gae(rewards, noise(6, 7, seed=1), mask, 1.0, 1.0)
    torch.testing.assert_close(returns, rewards.flip(1).cumsum(1).flip(1) * mask, **EXACT)


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


PAIRS = {  # token ids of the toy language; the second rejected text is truncated
    "prompt_ids": [[2, 3], [2, 4, 5], [3]],
    "chosen_ids": [[6, 0], [6, 7, 9, 0], [10, 0]],
    "rejected_ids": [[8, 0], [9], [7, 8, 9, 0]],
}


def logged(trainer, name: str) -> float:
    """The trainer's logs of its first update."""
    trainer.train()
    return next(entry[name] for entry in trainer.state.log_history if name in entry)


def text_logp(model, prompt: list[int], completion: list[int]) -> torch.Tensor:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt + completion])).logits[0]
    before = logits[len(prompt) - 1 : -1]
    return token_logprobs(before, torch.tensor(completion)).sum()


def one_update(tmp_path) -> dict:
    return {
        "output_dir": str(tmp_path),
        "max_steps": 1,
        "per_device_train_batch_size": 3,
        "learning_rate": 1e-3,
    }


def columns():
    return zip(*PAIRS.values(), strict=True)


@pytest.mark.parametrize("name", ["loss", "rewards/chosen", "rewards/rejected", "rewards/margins"])
def test_dpo_equals_trls(tmp_path, name):
    model, reference = toy.policy(0), toy.policy(1)
    sides = [
        [text_logp(network, prompt, text) for prompt, *texts in columns() for text in texts]
        for network in (model, reference)
    ]
    (chosen, rejected), (ref_chosen, ref_rejected) = (
        torch.stack(side).view(-1, 2).T for side in sides
    )
    ours = {
        "loss": dpo_loss(chosen, rejected, ref_chosen, ref_rejected, 0.3),
        "rewards/chosen": 0.3 * (chosen - ref_chosen),
        "rewards/rejected": 0.3 * (rejected - ref_rejected),
    }
    ours["rewards/margins"] = ours["rewards/chosen"] - ours["rewards/rejected"]
    pairs = Dataset.from_dict(PAIRS)
    trainer = dpo.make_trainer(
        model, reference, toy.tokenizer(), pairs, beta=0.3, **one_update(tmp_path)
    )
    assert logged(trainer, name) == pytest.approx(ours[name].mean().item(), abs=1e-5)


@pytest.mark.parametrize("name", ["loss", "margin"])
def test_bradley_terry_equals_trls(tmp_path, name):
    model = toy.reward_model()
    torch.nn.init.normal_(model.score.weight)
    chosen, rejected = (
        torch.stack([last_score(model, prompt + texts[side]) for prompt, *texts in columns()])
        for side in (0, 1)
    )
    ours = {"loss": bradley_terry_loss(chosen, rejected), "margin": chosen - rejected}
    pairs = Dataset.from_dict(PAIRS)
    trainer = reward.make_trainer(model, toy.tokenizer(), pairs, **one_update(tmp_path))
    assert logged(trainer, name) == pytest.approx(ours[name].mean().item(), abs=1e-5)


def last_score(model, ids: list[int]) -> torch.Tensor:
    """The scalar head's output at the last token, from the trunk's forward pass."""
    with torch.no_grad():
        states = model.model(input_ids=torch.tensor([ids])).last_hidden_state
        return model.score(states[0, -1])[0]
