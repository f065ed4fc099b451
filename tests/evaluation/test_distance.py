"""J(π*) − J(π) = β KL(π ‖ π*): exactly by enumeration, and within its interval on samples."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from align_core.evaluation.distance import Texts, optimum_gap, optimum_kl

# Texts of two tokens, each 0 or 1: log-probabilities [first], and [first, second] of the second.
REFERENCE = np.log([0.5, 0.5]), np.log([[0.25, 0.75], [0.5, 0.5]])
POLICY = np.log([0.25, 0.75]), np.log([[0.5, 0.5], [1 / 3, 2 / 3]])
REWARDS = np.array([[-1.0, 0.5], [2.0, 0.7]])  # of the text (first, second)


def logp(model):
    return model[0][:, None] + model[1]


def kl_of_texts(policy, reference):
    """[first, second]: the exact KL at the first token plus that at the second, after the first."""
    at_first = (np.exp(policy[0]) * (policy[0] - reference[0])).sum()
    at_second = (np.exp(policy[1]) * (policy[1] - reference[1])).sum(-1)
    return np.repeat((at_first + at_second)[:, None], 2, 1)


def each(values, model, texts):
    """[1, texts]: the value of each text as often as the model writes it, in this many texts."""
    counts = np.exp(logp(model)) * texts
    assert counts == pytest.approx(counts.round(), abs=1e-9)
    return np.repeat(values.ravel(), counts.round().astype(int).ravel())[None]


def enumerated(policy=POLICY):
    """The texts of the policy and the stored samples, in exactly the models' proportions."""
    texts = Texts(
        rewards=each(REWARDS, policy, 8),
        kls=each(kl_of_texts(policy, REFERENCE), policy, 8),
        log_ratios=each(logp(policy) - logp(REFERENCE), policy, 8),
        reference_rewards=each(REWARDS, REFERENCE, 8),
    )
    return texts, each(REWARDS, REFERENCE, 8)


@pytest.mark.parametrize("beta", [0.3, 1.0, 5.0])
def test_both_sides_equal_enumeration(beta):
    p, q = np.exp(logp(POLICY)), np.exp(logp(REFERENCE))
    best = q * np.exp(REWARDS / beta)
    best /= best.sum()

    def objective(of):
        return (of * REWARDS).sum() - beta * (of * np.log(of / q)).sum()

    gap, kl = (side(*enumerated(), beta).value for side in (optimum_gap, optimum_kl))
    assert gap == pytest.approx(objective(best) - objective(p), abs=1e-12)
    assert kl == pytest.approx((p * np.log(p / best)).sum(), abs=1e-12)
    assert gap == pytest.approx(beta * kl, abs=1e-12)


def test_each_side_has_its_own_measure_of_the_kl():
    texts, stored = enumerated()
    exact = dataclasses.replace(texts, kls=texts.kls + 1)
    drawn = dataclasses.replace(texts, log_ratios=texts.log_ratios + 1)
    gap, kl = (side(texts, stored, 2.0).value for side in (optimum_gap, optimum_kl))
    assert optimum_gap(exact, stored, 2.0).value == pytest.approx(gap + 2, abs=1e-12)
    assert optimum_gap(drawn, stored, 2.0).value == gap
    assert optimum_kl(drawn, stored, 2.0).value == pytest.approx(kl + 1, abs=1e-12)
    assert optimum_kl(exact, stored, 2.0).value == kl


def test_the_reference_itself_lacks_its_kl_to_the_optimum():
    """π = π_ref: l = k = 0, and the control is the reward itself, so only log Z has an error."""
    beta, (texts, stored) = 0.7, enumerated(REFERENCE)
    gap = optimum_gap(texts, stored, beta)
    z = np.exp(stored / beta)
    influence = z / z.mean() - 1 - (stored - stored.mean()) / beta
    assert gap.value == pytest.approx(beta * np.log(z.mean()) - stored.mean(), abs=1e-12)
    assert gap.standard_error == pytest.approx(beta * influence.std(ddof=1) / 8**0.5, abs=1e-12)
    fourfold = Texts(*(np.repeat(column, 4, 0) for column in vars(texts).values()))
    alike = optimum_gap(fourfold, np.repeat(stored, 4, 0), beta)
    assert alike.standard_error == pytest.approx(gap.standard_error / 2, abs=1e-12)


def test_the_optimum_lacks_nothing():
    """π = π*: r/β − l = log Z for every text, so its KL has no error by the texts."""
    beta = 2.0
    best = logp(REFERENCE) + REWARDS / beta
    best -= np.log(np.exp(best).sum())
    first = np.log(np.exp(best).sum(-1))
    optimum = first, best - first[:, None]
    texts, stored = sampled(np.random.default_rng(1), optimum, prompts=50, count=4, samples=200)
    kl = optimum_kl(texts, stored, beta)
    stored_alone = optimum_kl(texts, np.repeat(stored, 4, 1), beta).standard_error
    assert abs(kl.value) < 4 * kl.standard_error
    assert stored_alone < 0.6 * kl.standard_error, "four times the samples, half the error"


def sampled(rng, policy, prompts=8, count=6, samples=300):
    """Texts of the policy and of the reference from the same random numbers, and stored samples."""
    noise = rng.gumbel(size=(prompts, count, 2, 2))

    def written(model, noise):
        first = (model[0] + noise[..., 0, :]).argmax(-1)
        return first, (model[1][first] + noise[..., 1, :]).argmax(-1)

    at, at_reference = written(policy, noise), written(REFERENCE, noise)
    stored = REWARDS[written(REFERENCE, rng.gumbel(size=(prompts, samples, 2, 2)))]
    texts = Texts(
        rewards=REWARDS[at],
        kls=kl_of_texts(policy, REFERENCE)[at],
        log_ratios=(logp(policy) - logp(REFERENCE))[at],
        reference_rewards=REWARDS[at_reference],
    )
    return texts, stored


def test_the_intervals_hold_the_truth_in_95_of_100_samples():
    """Over 200 seeds: the errors of each side and of their difference, in standard errors."""
    beta, rng, errors = 1.0, np.random.default_rng(0), []
    exact = optimum_kl(*enumerated(), beta).value
    for _ in range(200):
        gap = optimum_gap(*sampled(rng, POLICY, prompts=40), beta)
        kl = optimum_kl(*sampled(rng, POLICY, prompts=40), beta)
        apart = np.hypot(gap.standard_error, beta * kl.standard_error)
        errors.append(
            [
                (gap.value - beta * exact) / gap.standard_error,
                (kl.value - exact) / kl.standard_error,
                (gap.value - beta * kl.value) / apart,
            ]
        )
    errors = np.array(errors)
    # Three standard errors: 3·√(0.95·0.05/200) of the share, 3/√200 of the mean.
    assert (np.abs(errors) < 1.96).mean(0) == pytest.approx(0.95, abs=0.046)
    assert errors.mean(0) == pytest.approx(0, abs=0.21)
    assert errors.std(0) == pytest.approx(1, abs=0.15)


def test_the_references_texts_reduce_the_error_near_the_reference():
    near = tuple(0.1 * own + 0.9 * old for own, old in zip(POLICY, REFERENCE, strict=True))
    near = (
        near[0] - np.log(np.exp(near[0]).sum()),
        near[1] - np.log(np.exp(near[1]).sum(-1, keepdims=True)),
    )
    texts, stored = sampled(np.random.default_rng(0), near, prompts=50, samples=2000)
    unpaired = Texts(
        **{
            **vars(texts),
            "reference_rewards": np.random.default_rng(1).permuted(texts.reference_rewards, axis=1),
        }
    )
    paired = optimum_gap(texts, stored, 1.0).standard_error
    assert paired < 0.6 * optimum_gap(unpaired, stored, 1.0).standard_error


def test_the_error_of_the_stored_samples_by_hand():
    """Equal texts have no error. At β = 1 the samples 0 and log 3 of each of two prompts
    weigh ¼ and ¾, so that Z = 2 and log Z varies by 2w − 1 = ∓½: √(2·(¼ + ¼) / (2·1) / 2²) = √⅛."""
    row = np.ones((2, 3))
    texts = Texts(rewards=row, kls=0.25 * row, log_ratios=0.5 * row, reference_rewards=row)
    stored = np.log([[1.0, 3.0], [1.0, 3.0]])
    for own, lacking in ((optimum_gap, np.log(2) - 0.75), (optimum_kl, np.log(2) - 0.5)):
        estimate = own(texts, stored, 1.0)
        assert estimate.value == pytest.approx(lacking, abs=1e-12)
        assert estimate.standard_error == pytest.approx(0.125**0.5, abs=1e-12)


def test_the_error_of_the_texts_by_hand():
    """Equal stored samples have no error. About their means, the rewards 0, 1, 2 and 3, 3, 6 have
    the squares 2 and 6, in 2·(3 − 1) − 1 degrees of freedom: √(8 / 3 / (2·3)) = ⅔."""
    rewards, stored = np.array([[0.0, 1.0, 2.0], [3.0, 3.0, 6.0]]), np.full((2, 5), 4.0)
    none, same = np.zeros((2, 3)), np.ones((2, 3))
    for side in (optimum_gap, optimum_kl):
        estimate = side(Texts(rewards, none, none, same), stored, 1.0)
        assert estimate.value == pytest.approx(4 - (1 + 4) / 2, abs=1e-12)
        assert estimate.standard_error == pytest.approx(2 / 3, abs=1e-12)
        # Rewards of the reference that are half as large explain all of it: 4 − 2·4.
        explained = side(Texts(rewards, none, none, rewards / 2), stored, 1.0)
        assert explained.value == pytest.approx(4 - 2 * 4, abs=1e-12)
        assert explained.standard_error == pytest.approx(0, abs=1e-12)


def test_one_text_a_prompt_has_no_error():
    texts, stored = sampled(np.random.default_rng(0), POLICY, count=1)
    with pytest.raises(ValueError, match="at least 2 texts per prompt, got 1"):
        optimum_gap(texts, stored, 1.0)
