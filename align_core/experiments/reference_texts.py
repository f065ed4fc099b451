"""Exact optima over the distinct texts that a reference wrote, as if it wrote no others.

Arrays are [P, M]: P prompts, at most M texts for each; the share of a missing text is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from align_core.config.model_index import reference_samples
from align_core.optimum import FloatArray, ReferenceSamples


@dataclass(frozen=True)
class ReferenceTexts:
    """The distinct texts of each prompt.

    `share` is a text's share of the samples, taken as its probability under the reference, and
    `gold` its reward in nats. `first` is the index of the first sample that has this text, and
    `samples` the number of samples for each prompt.
    """

    share: FloatArray
    gold: FloatArray
    first: np.ndarray
    samples: int

    @classmethod
    def of(cls, samples: ReferenceSamples) -> ReferenceTexts:
        """The distinct texts among these samples, the most frequent ones first."""
        prompts = [_distinct(tokens) for tokens in samples.tokens]
        max_texts = max(len(first) for first, _ in prompts)
        shape = len(prompts), max_texts
        share, gold, indices = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=int)
        for row, (first, counts) in enumerate(prompts):
            share[row, : len(first)] = counts / counts.sum()
            gold[row, : len(first)] = samples.rewards[row, first]
            indices[row, : len(first)] = first
        return cls(share, gold, indices, samples.rewards.shape[1])

    @property
    def missing(self) -> float:
        """The Good–Turing estimate of the probability of the texts that are not among the samples:
        the share of samples whose text occurs only once."""
        return float((np.rint(self.share * self.samples) == 1).sum(1).mean() / self.samples)

    def numbers(self, policy: FloatArray) -> dict[str, FloatArray]:
        """For each prompt [P]: the policy's `gold` reward and `kl` to the reference in nats, the
        effective number of `texts` (the exponential of the entropy), the probability of its `top`
        text, and the effective number of `samples`, as 1/Σw² in `optimum`."""
        positive = np.where(policy > 0, policy, 1.0)
        reference = np.where(self.share > 0, self.share, 1.0)
        return {
            "gold": (policy * self.gold).sum(1),
            "kl": (policy * np.log(positive / reference)).sum(1),
            "texts": np.exp(-(policy * np.log(positive)).sum(1)),
            "top": policy.max(1),
            "samples": self.samples / (policy**2 / reference).sum(1),
        }


@lru_cache
def texts_of(task: str) -> ReferenceTexts:
    """The texts of the task's reference for the probe prompts."""
    return ReferenceTexts.of(ReferenceSamples.load(reference_samples(task, "probe")))


def _distinct(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first sample of each distinct text [M], and its number of samples [M]."""
    _, first, counts = np.unique(tokens, axis=0, return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))
    return first[order], counts[order]


def reverse_optimum(share: FloatArray, rewards: FloatArray, beta: float) -> FloatArray:
    """π_ref · exp(r/β) / Z, which maximises E_π[r] − β KL(π ‖ π_ref) (arXiv 2305.18290, Eq. 4)."""
    scaled = np.where(share > 0, rewards / beta, -np.inf)
    weights = share * np.exp(scaled - scaled.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def forward_optimum(share: FloatArray, rewards: FloatArray, beta: float) -> FloatArray:
    """β π_ref / (λ − r), which maximises E_π[r] − β KL(π_ref ‖ π) (arXiv 2510.20817, section 3).

    λ is the number above all rewards for which the probabilities of a prompt sum to 1.
    """
    best = np.where(share > 0, rewards, -np.inf).max(1, keepdims=True)
    gap = best - np.where(share > 0, rewards, -np.inf)
    # λ − best, by bisection from 0 to β. At β the sum is at most 1, because no text is then more
    # likely than under the reference.
    low, high = np.zeros_like(best), np.full_like(best, beta)
    for _ in range(60):
        middle = (low + high) / 2
        too_much = (beta * share / (middle + gap)).sum(1, keepdims=True) > 1
        low, high = np.where(too_much, middle, low), np.where(too_much, high, middle)
    policy = beta * share / (high + gap)
    return policy / policy.sum(1, keepdims=True)


def forward_at(texts: ReferenceTexts, gold: float) -> FloatArray:
    """The forward optimum with this mean gold reward, by bisection over log β."""
    low, high = np.log(1e-4), np.log(1e4)
    for _ in range(40):
        middle = (low + high) / 2
        policy = forward_optimum(texts.share, texts.gold, float(np.exp(middle)))
        if (policy * texts.gold).sum(1).mean() > gold:
            low = middle
        else:
            high = middle
    return policy
