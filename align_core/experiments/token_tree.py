"""All texts of LENGTH tokens out of SIZE, with policies that are tables: every number is exact.

A policy has the log-probability of each next token after each prefix: a list of arrays
[N, SIZE**t, SIZE], for the positions t = 0, 1, … and N policies that are trained side by side.
Numbers of whole texts are arrays [N, SIZE**LENGTH]. Rewards and KL are in nats.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from align_core.experiments.tabular import FloatArray

SIZE, LENGTH = 4, 4
STEPS, RATE = 2000, 0.05
LARGEST = 1.0  # the largest change of a logit in a step
LOWEST = -30.0  # the lowest log-probability of a token, so that all stay finite

Policy = list[FloatArray]
# The penalty for a token, as a function of its log(π/π_ref).
Penalty = Callable[[FloatArray], FloatArray]


def nothing(log_ratio: FloatArray) -> FloatArray:
    """No penalty."""
    return np.zeros_like(log_ratio)


def k1(log_ratio: FloatArray) -> FloatArray:
    """The log-ratio."""
    return log_ratio


def k3(log_ratio: FloatArray) -> FloatArray:
    """π_ref/π − 1 + log(π/π_ref)."""
    return np.expm1(np.minimum(-log_ratio, 60.0)) + log_ratio


def k3_slope(log_ratio: FloatArray) -> FloatArray:
    """∂k3/∂log π = 1 − π_ref/π."""
    return -np.expm1(np.minimum(-log_ratio, 60.0))


def problem(seed: int) -> tuple[Policy, FloatArray]:
    """A random reference, N = 1, and the rewards of the texts [1, SIZE**LENGTH].

    Each prefix adds an independent normal number with variance 1 to the rewards of its texts.
    """
    rng = np.random.default_rng(seed)
    reference = [log_softmax(rng.normal(size=(1, SIZE**depth, SIZE))) for depth in range(LENGTH)]
    rewards = sum(
        np.repeat(rng.normal(size=SIZE**depth), SIZE ** (LENGTH - depth))
        for depth in range(1, LENGTH + 1)
    )
    return reference, np.asarray(rewards)[None]


def optimum(reference: Policy, rewards: FloatArray, betas: FloatArray) -> tuple[Policy, FloatArray]:
    """π_ref · exp(r/β) / Z as next-token log-probabilities, and β log Z [N], for N values of β."""
    values = np.repeat(rewards, len(betas), 0)
    beta = betas[:, None, None]
    policy: Policy = []
    for ref in reversed(reference):
        scores = ref + values.reshape(len(betas), *ref.shape[1:]) / beta
        policy.insert(0, log_softmax(scores))
        top = scores.max(-1)
        values = betas[:, None] * (top + np.log(np.exp(scores - top[..., None]).sum(-1)))
    return policy, values[:, 0]


def directions(
    policy: Policy,
    reference: Policy,
    rewards: FloatArray,
    betas: FloatArray,
    in_reward: Penalty,
    in_loss: Penalty,
) -> Policy:
    """The coefficient of ∇log π(token | prefix) in the expected gradient, for each token.

    The texts are sampled from the policy. A penalty in the reward counts for its own token and all
    earlier ones, as the reward of the text counts for all tokens; a penalty in the loss counts only
    for its own token.
    """
    coefficients: Policy = []
    values, beta = rewards, betas[:, None, None]
    for logp, ref in zip(reversed(policy), reversed(reference), strict=True):
        log_ratio = logp - ref
        returns = values.reshape(-1, *logp.shape[1:]) - beta * in_reward(log_ratio)
        coefficients.insert(0, returns - beta * in_loss(log_ratio))
        values = (np.exp(logp) * returns).sum(-1)
    return coefficients


def trained(
    reference: Policy, rewards: FloatArray, betas: FloatArray, in_reward: Penalty, in_loss: Penalty
) -> Policy:
    """The policies, one for each β, where natural gradient ascent from the reference ends.

    A step adds RATE times the coefficients of `directions` to the logits. Its fixed points are the
    policies at which the expected gradient vanishes.
    """
    policy = [np.repeat(ref, len(betas), 0) for ref in reference]
    for _ in range(STEPS):
        ascent = directions(policy, reference, rewards, betas, in_reward, in_loss)
        policy = [
            np.maximum(log_softmax(logp + np.clip(RATE * up, -LARGEST, LARGEST)), LOWEST)
            for logp, up in zip(policy, ascent, strict=True)
        ]
    return [log_softmax(logp) for logp in policy]


def text_logprobs(policy: Policy) -> FloatArray:
    """Log-probabilities of the whole texts."""
    logp = np.zeros((len(policy[0]), 1))
    for step in policy:
        logp = (logp[:, :, None] + step).reshape(len(logp), -1)
    return logp


def gradients(policy: Policy, coefficients: Policy) -> FloatArray:
    """The expected gradient [N, all logits] with these coefficients of ∇log π."""
    reached, parts = np.zeros((len(policy[0]), 1)), []
    for logp, coefficient in zip(policy, coefficients, strict=True):
        p = np.exp(logp)
        centred = coefficient - (p * coefficient).sum(-1, keepdims=True)
        parts.append((np.exp(reached)[..., None] * p * centred).reshape(len(p), -1))
        reached = (reached[:, :, None] + logp).reshape(len(p), -1)
    return np.concatenate(parts, axis=1)


def log_softmax(logits: FloatArray) -> FloatArray:
    """Log-probabilities over the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
