"""PPO and DPO on eight prompts × eight responses, with preferences that cover only some of them.

This is the synthetic study of arXiv 2404.10719, section 4.2, small enough to train while a slider
moves: policy and reward model are MLPs on one-hot inputs, in numpy, with hand-written gradients.
The best response to prompt x is response x. Raters prefer y1 to y2 with probability
σ(r(y1) − r(y2)), and preferences are these exact probabilities. Only the coverage, the initial
weights and PPO's samples are random.

Matrices are [8, 8]: a row for each prompt, a column for each response; rewards are in nats.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SIZE = 8
HIDDEN = 32
# Approximate standard deviations of the outputs of untrained networks: the logits of the reference,
# and the output of a reward model whose head has std 1/√(d + 1) (the code of arXiv 1909.08593).
REFERENCE_SPREAD, REWARD_SPREAD = 0.5, 0.625
STEPS, LEARNING_RATE = 300, 0.03  # of the reward model and DPO, with all pairs in each step
ROLLOUTS, SAMPLES, EPOCHS, CLIP = 75, 16, 4, 0.2  # of PPO; samples of each prompt in a rollout


def _gold() -> FloatArray:
    """Gold rewards: 0 on the diagonal; elsewhere −0.75 to −3 in equal steps, in a different order
    for each prompt, so that prompts have nothing in common."""
    rewards = np.zeros((SIZE, SIZE))
    worse = np.tile(np.linspace(-0.75, -3.0, SIZE - 1), (SIZE, 1))
    rewards[~np.eye(SIZE, dtype=bool)] = np.random.default_rng(0).permuted(worse, axis=1).ravel()
    return rewards


GOLD = _gold()
# One-hot inputs: prompts, and prompts with responses, in the row-major order of the matrices.
_PROMPTS = np.eye(SIZE)
_TEXTS = np.hstack([_PROMPTS.repeat(SIZE, 0), np.tile(_PROMPTS, (SIZE, 1))])


@dataclass(frozen=True)
class Outcome:
    """The result for one set of covered responses: matrices [8, 8].

    Policies are probabilities, each row summing to 1. `learned` is the reward model's output in
    nats. Bradley-Terry does not determine an offset for each prompt: here it is chosen so that the
    mean over the covered responses (over all if none is covered) equals that of the gold rewards.
    `learned_optimum` is the exact optimum of `learned`, `optimum` that of the gold reward.
    """

    covered: BoolArray
    reference: FloatArray
    learned: FloatArray
    ppo: FloatArray
    dpo: FloatArray
    learned_optimum: FloatArray
    optimum: FloatArray


def random_coverage(responses: int, seed: int, best: bool = False) -> BoolArray:
    """[8, 8]: a random set of this many covered responses, 0 to 8, for each prompt.

    With `best`, the best response to a prompt is always among them, unless there are none.
    """
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(SIZE), (SIZE, 1)), axis=1)
    if best:  # exchange it with the response that would be covered first
        first, right = order == 0, np.eye(SIZE, dtype=bool)
        order[first], order[right] = order[right], 0
    return order < responses


def train(covered: BoolArray, beta: float, seed: int, certain: bool = False) -> Outcome:
    """Train PPO, its reward model, and DPO on every pair of covered responses to a prompt.

    With `certain` raters, as in arXiv 2404.10719, the better response is always preferred.
    """
    rng = np.random.default_rng(seed)
    policy = Network.random(SIZE, SIZE, REFERENCE_SPREAD, rng)
    reward_model = Network.random(2 * SIZE, 1, REWARD_SPREAD, rng)
    reference = log_softmax(policy.outputs(_PROMPTS))
    preferences = Preferences.of(covered, certain)
    learned = fit_reward(reward_model, preferences)
    return Outcome(
        covered=covered,
        reference=np.exp(reference),
        learned=_aligned(learned, covered),
        ppo=np.exp(ppo(policy, reference, learned, beta, rng)),
        dpo=np.exp(dpo(policy, reference, preferences, beta)),
        learned_optimum=optimum(np.exp(reference), beta, learned),
        optimum=optimum(np.exp(reference), beta, GOLD),
    )


def optimum(reference: FloatArray, beta: float, rewards: FloatArray) -> FloatArray:
    """π_ref · exp(r/β) / Z (arXiv 2305.18290, Eq. 4); an offset of a prompt's rewards cancels."""
    return np.exp(log_softmax(np.log(reference) + rewards / beta))


def divergence(policy: FloatArray, reference: FloatArray) -> float:
    """KL(policy ‖ reference) in nats, averaged over the prompts."""
    ratio = np.log(np.maximum(policy, 1e-300)) - np.log(reference)
    return float((policy * ratio).sum(1).mean())


@dataclass(frozen=True)
class Preferences:
    """Preferences [8, 8, 8] of prompt, first and second response, with each pair in both orders.

    `share` is the share of raters who prefer the first; `weight` is 1 over the number of pairs for
    a pair of covered responses, else 0.
    """

    share: FloatArray
    weight: FloatArray

    @classmethod
    def of(cls, covered: BoolArray, certain: bool) -> Preferences:
        """The preferences of every pair of covered responses to a prompt."""
        pairs = covered[:, :, None] & covered[:, None, :] & ~np.eye(SIZE, dtype=bool)
        margin = GOLD[:, :, None] - GOLD[:, None, :]
        share = (np.sign(margin) + 1) / 2 if certain else sigmoid(margin)
        return cls(share, pairs / max(pairs.sum() / 2, 1))

    def gradient(self, scores: FloatArray) -> FloatArray:
        """∂/∂`scores` of the mean of −p log σ(s1 − s2) − (1 − p) log σ(s2 − s1)."""
        error = sigmoid(scores[:, :, None] - scores[:, None, :]) - self.share
        return (error * self.weight).sum(2)


def fit_reward(network: Network, preferences: Preferences) -> FloatArray:
    """The trained reward model's output for every text: Bradley-Terry (arXiv 2305.18290, Eq. 2)."""

    def gradient(outputs: FloatArray) -> FloatArray:
        return preferences.gradient(outputs.reshape(SIZE, SIZE)).reshape(-1, 1)

    return network.trained(_TEXTS, gradient, STEPS).outputs(_TEXTS).reshape(SIZE, SIZE)


def dpo(
    policy: Network, reference: FloatArray, preferences: Preferences, beta: float
) -> FloatArray:
    """Log-probabilities of the policy after DPO (arXiv 2305.18290, Eq. 7)."""

    def gradient(logits: FloatArray) -> FloatArray:
        # The loss depends only on differences of implicit rewards, in which the normaliser cancels.
        return beta * preferences.gradient(beta * (log_softmax(logits) - reference))

    return log_softmax(policy.trained(_PROMPTS, gradient, STEPS).outputs(_PROMPTS))


def ppo(
    policy: Network,
    reference: FloatArray,
    rewards: FloatArray,
    beta: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Log-probabilities of the policy after PPO on `rewards` with the KL term in the reward.

    A response is one action, so that the value of a prompt is the mean return of its samples.
    Advantages are whitened, and the learning rate decreases to 0. Samples of the same response have
    the same ratio and advantage, so they are represented by their counts.
    """
    updates = itertools.count()
    rollout: dict[str, FloatArray] = {}

    def gradient(logits: FloatArray) -> FloatArray:
        logp = log_softmax(logits)
        if next(updates) % EPOCHS == 0:
            counts = rng.multinomial(SAMPLES, np.exp(logp)) / (SAMPLES * SIZE)
            returns = rewards - beta * (logp - reference)
            advantages = returns - SIZE * (counts * returns).sum(1, keepdims=True)
            deviation = np.sqrt((counts * advantages**2).sum() + 1e-8)
            rollout.update(old_logp=logp, weights=counts * advantages / deviation)
        return ppo_gradient(logp, **rollout)

    return log_softmax(policy.trained(_PROMPTS, gradient, ROLLOUTS * EPOCHS).outputs(_PROMPTS))


def ppo_gradient(logp: FloatArray, old_logp: FloatArray, weights: FloatArray) -> FloatArray:
    """∂/∂logits of −Σ min(ρ·w, clip(ρ, 1 ± CLIP)·w), with ρ = exp(logp − old_logp).

    `weights` are advantages times their share of the samples (arXiv 1707.06347, Eq. 7).
    """
    ratio = np.exp(logp - old_logp)
    clipped = np.where(weights > 0, ratio > 1 + CLIP, ratio < 1 - CLIP)
    by_logp = np.where(clipped, 0.0, -weights * ratio)
    return by_logp - np.exp(logp) * by_logp.sum(1, keepdims=True)


@dataclass(frozen=True)
class Network:
    """An MLP with one hidden layer of tanh, with all weights in one vector."""

    shape: tuple[int, int]  # inputs, outputs
    weights: FloatArray

    @classmethod
    def random(cls, inputs: int, outputs: int, spread: float, rng: np.random.Generator) -> Network:
        """A network with random weights and outputs of a standard deviation of about `spread`."""
        w1 = rng.normal(size=inputs * HIDDEN)
        w2 = rng.normal(scale=1.6 * spread / np.sqrt(HIDDEN), size=HIDDEN * outputs)
        b1, b2 = np.zeros(HIDDEN), np.zeros(outputs)
        return cls((inputs, outputs), np.concatenate([w1, b1, w2, b2]))

    def outputs(self, x: FloatArray) -> FloatArray:
        """Outputs [N, outputs] for inputs [N, inputs]."""
        return self._forward(self.weights, x)[1]

    def gradient(self, x: FloatArray, by_outputs: FloatArray) -> FloatArray:
        """∂loss/∂weights, given `by_outputs` = ∂loss/∂outputs [N, outputs]."""
        return self._backward(self.weights, x, self._forward(self.weights, x)[0], by_outputs)

    def trained(
        self, x: FloatArray, gradient: Callable[[FloatArray], FloatArray], steps: int
    ) -> Network:
        """The network after steps of Adam (arXiv 1412.6980), with a rate decreasing linearly to 0.

        `gradient` maps outputs to ∂loss/∂outputs.
        """
        weights = self.weights.copy()
        mean, square = np.zeros_like(weights), np.zeros_like(weights)
        for step in range(steps):
            hidden, outputs = self._forward(weights, x)
            slope = self._backward(weights, x, hidden, gradient(outputs))
            mean += 0.1 * (slope - mean)
            square += 0.01 * (slope**2 - square)
            rate = LEARNING_RATE * (1 - step / steps) / (1 - 0.9 ** (step + 1))
            weights -= rate * mean / (np.sqrt(square / (1 - 0.99 ** (step + 1))) + 1e-8)
        return Network(self.shape, weights)

    def _split(self, weights: FloatArray) -> tuple[FloatArray, ...]:
        """W1 [inputs, HIDDEN], b1, W2 [HIDDEN, outputs], b2: views, not copies."""
        inputs, outputs = self.shape
        sizes = inputs * HIDDEN, HIDDEN, HIDDEN * outputs
        w1, b1, w2, b2 = np.split(weights, np.cumsum(sizes))
        return w1.reshape(inputs, HIDDEN), b1, w2.reshape(HIDDEN, outputs), b2

    def _forward(self, weights: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        w1, b1, w2, b2 = self._split(weights)
        hidden = np.tanh(x @ w1 + b1)
        return hidden, hidden @ w2 + b2

    def _backward(
        self, weights: FloatArray, x: FloatArray, hidden: FloatArray, by_outputs: FloatArray
    ) -> FloatArray:
        w2 = self._split(weights)[2]
        inside = (by_outputs @ w2.T) * (1 - hidden**2)
        parts = x.T @ inside, inside.sum(0), hidden.T @ by_outputs, by_outputs.sum(0)
        return np.concatenate([part.ravel() for part in parts])


def sigmoid(x: FloatArray) -> FloatArray:
    """1 / (1 + exp(−x)), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def log_softmax(logits: FloatArray) -> FloatArray:
    """Log-probabilities of each row."""
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def _aligned(learned: FloatArray, covered: BoolArray) -> FloatArray:
    """The scores with the offset of each prompt chosen as `Outcome` describes."""
    known = covered | ~covered.any(1, keepdims=True)
    offset = ((GOLD - learned) * known).sum(1, keepdims=True) / known.sum(1, keepdims=True)
    return learned + offset
