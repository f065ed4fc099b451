"""The closed-form optimum of KL-constrained reward maximisation, from stored reference samples.

max E_π[r] − β KL(π ‖ π_ref) is solved by π* ∝ π_ref · exp(r/β) (arXiv 2305.18290, Eq. 4). With N
samples of the reference for a prompt, π* is those samples with weights w ∝ exp(r/β): its reward is
Σ w r, its divergence Σ w log(N w) = Σ w r/β − log Σ exp(r/β)/N. One β holds for all prompts; means
are over prompts.

Rewards are an array [P, N]: P prompts, N samples each, in nats.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LOWEST_BETA, HIGHEST_BETA, GRID = 0.05, 200.0, 120
MIN_KL, MAX_KL = 0.05, 3.0
MIN_EFFECTIVE_SAMPLES = 100.0
BUDGET = 2.0  # nats of KL at which the optimum's `eval/gain` is 1, if there are enough samples
BEST_OF = (2, 4, 8, 16, 32)
_NEAR_ZERO = 1e-3  # a β so small that π* has only the best samples


def weights(rewards: FloatArray, beta: float) -> FloatArray:
    """Weights [P, N] of the samples under π*, each row summing to 1: softmax(r/β)."""
    scaled = rewards / beta
    scaled = np.exp(scaled - scaled.max(-1, keepdims=True))
    return scaled / scaled.sum(-1, keepdims=True)


@dataclass(frozen=True)
class Point:
    """π* at one β: its mean reward and KL, in nats, and mean effective sample size 1/Σw²."""

    beta: float
    reward: float
    kl: float
    effective_samples: float

    @property
    def known(self) -> bool:
        """Whether its effective sample size is sufficient."""
        return self.effective_samples >= MIN_EFFECTIVE_SAMPLES


def by_prompt(rewards: FloatArray, beta: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Reward, KL and effective sample size of π* for each prompt: three arrays [P]."""
    best = rewards.max(-1)
    w = np.exp((rewards - best[:, None]) / beta)
    total = w.sum(-1)
    reward = np.einsum("pn,pn->p", w, rewards) / total
    kl = (reward - best) / beta - np.log(total / rewards.shape[-1])
    return reward, np.maximum(kl, 0.0), total**2 / np.einsum("pn,pn->p", w, w)


def optimum(rewards: FloatArray, beta: float) -> Point:
    """π* at this β, averaged over the prompts."""
    return Point(beta, *(float(values.mean()) for values in by_prompt(rewards, beta)))


def chi_squared_ratios(rewards: FloatArray, beta: float) -> FloatArray:
    """z = π/π_ref [P, N] of the samples under the optimum of χPO at this β.

    It maximises E_π[r] − β(KL + ½ χ²) (arXiv 2407.13399): z + log z = (r − c)/β, with the c of each
    prompt at which the mean of z is 1.
    """
    c = rewards.min(-1, keepdims=True) - beta  # where every z is at least 1
    for _ in range(50):
        z = _chi_squared_link_inverse((rewards - c) / beta)
        # Newton's step; the mean of z is convex in c, so c increases to its value from below.
        excess = z.mean(-1, keepdims=True) - 1
        c += beta * excess / (z / (1 + z)).mean(-1, keepdims=True)
        if np.abs(excess).max() < 1e-12:
            break
    return z


def _chi_squared_link_inverse(u: FloatArray) -> FloatArray:
    """The z for which z + log z = u, by Newton's method on x = log z, from above the solution."""
    x = np.where(u > 1, np.log(np.maximum(u, 1)), u)
    for _ in range(50):
        step = (np.exp(x) + x - u) / (np.exp(x) + 1)
        x -= step
        if np.abs(step).max() < 1e-8:
            break
    return np.exp(x)


def chi_squared_optimum(rewards: FloatArray, beta: float) -> Point:
    """The optimum of χPO at this β, averaged over the prompts; its KL is without the χ² term."""
    z = chi_squared_ratios(rewards, beta)
    return Point(
        beta,
        float((z * rewards).mean()),
        # z underflows to 0 where a text gets no probability; z log z is then 0.
        float((z * np.log(np.maximum(z, np.finfo(float).tiny))).mean()),
        float((z.sum(-1) ** 2 / (z**2).sum(-1)).mean()),
    )


def at_quantile(rewards: FloatArray, beta: float, quantile: float) -> NDArray[np.intp]:
    """For each prompt, the index [P] of the sample at this quantile of the rewards under π*.

    The lower β is, the higher is the reward at a quantile. At β = 0 it is the highest reward.
    """
    order = np.argsort(rewards, axis=-1, kind="stable")
    if beta == 0:
        return order[:, -1]
    below = np.cumsum(np.take_along_axis(weights(rewards, beta), order, -1), axis=-1)
    position = np.minimum((below < quantile).sum(-1), rewards.shape[-1] - 1)
    return np.take_along_axis(order, position[:, None], -1)[:, 0]


@dataclass(frozen=True)
class Frontier:
    """The highest possible reward at every KL, on one set of prompts.

    Each row of `grid` [G, 3, P] is `by_prompt` at one β, in the order of increasing KL. The first
    row is the reference itself, the last one the limit β → 0.
    """

    grid: FloatArray

    @classmethod
    def of(cls, rewards: FloatArray) -> Frontier:
        """The frontier of these rewards [P, N], over a logarithmic grid of β."""
        count = len(rewards)
        start = [rewards.mean(-1), np.zeros(count), np.full(count, rewards.shape[-1])]
        betas = [*np.geomspace(HIGHEST_BETA, LOWEST_BETA, GRID), _NEAR_ZERO]
        return cls(np.array([start, *(by_prompt(rewards, beta) for beta in betas)]))

    def resampled(self, draws: NDArray[np.intp]) -> list[Frontier]:
        """The frontiers of R samples of the prompts, for a bootstrap over prompts.

        Each row of `draws` [R, n] has the indices of the prompts in one sample, possibly repeated.
        The grid of a sample's frontier has the means over its prompts, as if of a single prompt.
        """
        counts = np.array([np.bincount(row, minlength=self.grid.shape[-1]) for row in draws])
        means = self.grid @ counts.T / draws.shape[1]
        return [Frontier(row[..., None]) for row in np.moveaxis(means, -1, 0)]

    @cached_property
    def curve(self) -> FloatArray:
        """[3, G]: mean reward, KL and effective sample size along the frontier."""
        return self.grid.mean(-1).T

    def at(self, kl: float) -> tuple[float, float]:
        """r*(kl) and the effective sample size there, interpolated linearly on the grid."""
        rewards, kls, samples = self.curve
        return float(np.interp(kl, kls, rewards)), float(np.interp(kl, kls, samples))

    @cached_property
    def gain_kl(self) -> float | None:
        """The KL at which the optimum's gain is 1: BUDGET or, if its effective sample size is too
        small, the largest KL at which it is sufficient. None if that is below MIN_KL."""
        if self.at(BUDGET)[1] >= MIN_EFFECTIVE_SAMPLES:
            return BUDGET
        _, kls, samples = self.curve
        # The effective sample size decreases along the frontier; np.interp needs increasing values.
        largest = float(np.interp(-MIN_EFFECTIVE_SAMPLES, -samples, kls))
        return largest if largest >= MIN_KL else None

    def gain(self, reward: float, reference_reward: float, kl: float | None = None) -> float | None:
        """(E_π[r] − E_ref[r]) / (r*(kl) − E_ref[r]). By default `kl` is `gain_kl`, and the gain is
        None if that is None.

        Both means are over samples drawn with the same noise, so that the gain is 0 if π = π_ref.
        """
        kl = self.gain_kl if kl is None else kl
        return None if kl is None else _share(reward, reference_reward, self.at(kl)[0])

    def efficiency(self, reward: float, reference_reward: float, kl: float) -> float | None:
        """(E_π[r] − E_ref[r]) / (r*(KL) − E_ref[r]), not clipped at its limit 1.

        None where the frontier is too uncertain: KL below 0.05 or above 3 nats, or an effective
        sample size below 100.
        """
        if not MIN_KL <= kl <= MAX_KL:
            return None
        best, samples = self.at(kl)
        if samples < MIN_EFFECTIVE_SAMPLES:
            return None
        return _share(reward, reference_reward, best)


def _share(reward: float, reference_reward: float, best: float) -> float | None:
    """The gain of `reward` over the reference, as a share of the gain of `best`; None if `best`
    gains nothing."""
    gain = best - reference_reward
    return (reward - reference_reward) / gain if gain > 0 else None


def best_of_n(rewards: FloatArray, n: int, worth: FloatArray | None = None) -> tuple[float, float]:
    """Mean reward and KL of the best of n reference samples, exact also for equal rewards.

    With F the distribution function of the rewards, the best of n has reward r with probability
    F(r)ⁿ − F(r⁻)ⁿ; its KL is at most log n − (n − 1)/n (arXiv 2401.01879). With `worth` [P, N],
    samples are still chosen by `rewards`, but the mean is that of `worth`.
    """
    total_worth, total_kl = 0.0, 0.0
    for row, worths in zip(rewards, rewards if worth is None else worth, strict=True):
        _, inverse, counts = np.unique(row, return_inverse=True, return_counts=True)
        below = np.concatenate([[0.0], np.cumsum(counts) / len(row)])
        p = below[1:] ** n - below[:-1] ** n
        q = counts / len(row)
        positive = p > 0
        total_worth += float((p * np.bincount(inverse, worths) / counts).sum())
        total_kl += float((p[positive] * np.log(p[positive] / q[positive])).sum())
    return total_worth / len(rewards), total_kl / len(rewards)


@dataclass(frozen=True)
class Trade:
    """The optimum as the reward–KL chart draws it, in nats; a gain is a reward above the reference.

    `curve` has points (KL, gain) by increasing KL, as far as the samples determine it. `full_gain`
    is the gain at a KL of `gain_kl`, and the unit of `eval/gain`; both are None if there are too
    few samples. `best_of` has (n, KL, gain).
    """

    curve: list[tuple[float, float]]
    gain_kl: float | None
    full_gain: float | None
    best_of: list[tuple[int, float, float]]

    @classmethod
    def of(cls, rewards: FloatArray) -> Trade:
        """The trade for rewards [P, N] of samples of the reference."""
        reference, frontier = rewards.mean(), Frontier.of(rewards)
        earned, kls, samples = frontier.curve
        known = (kls <= MAX_KL) & (samples >= MIN_EFFECTIVE_SAMPLES)
        curve = list(zip(kls[known].tolist(), (earned[known] - reference).tolist(), strict=True))
        if known[-1]:  # the gain is at its maximum: more KL does not increase it
            curve.append((MAX_KL, float(earned[-1] - reference)))
        best_of = [(n, *best_of_n(rewards, n)) for n in BEST_OF]
        kl = frontier.gain_kl
        return cls(
            curve,
            kl,
            None if kl is None else frontier.at(kl)[0] - reference,
            [(n, kl, reward - reference) for n, reward, kl in best_of],
        )


@dataclass(frozen=True)
class ReferenceSamples:
    """Stored samples of a reference: P prompts, N samples each, at most T tokens.

    `tokens` is [P, N, T] of token ids, padded on the right; `lengths` and `ended` are [P, N], the
    end token counted; `rewards` [P, N] are gold, in nats.
    """

    prompts: list[str]
    tokens: NDArray[np.unsignedinteger]
    lengths: NDArray[np.unsignedinteger]
    ended: NDArray[np.bool_]
    rewards: FloatArray

    @classmethod
    def load(cls, path: str | Path) -> ReferenceSamples:
        """Read a file that `save` wrote. Raises OSError or ValueError for any other file."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                samples = cls(
                    prompts=stored["prompts"].tolist(),
                    tokens=stored["tokens"],
                    lengths=stored["lengths"],
                    ended=stored["ended"],
                    rewards=stored["rewards"].astype(np.float64),
                )
        except (KeyError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"{path}: expected samples of a reference: {error}") from None
        samples._check(path)
        return samples

    def _check(self, path: str | Path) -> None:
        """Raise ValueError unless shapes, types and ranges of the arrays agree."""
        shape = self.rewards.shape
        fits = (
            all(isinstance(prompt, str) for prompt in self.prompts)
            and self.tokens.ndim == 3
            and len(shape) == 2
            and shape == self.tokens.shape[:2] == self.lengths.shape == self.ended.shape
            and shape[0] == len(self.prompts)
            and all(array.dtype.kind == "u" for array in (self.tokens, self.lengths))
            and (self.lengths <= self.tokens.shape[2]).all()
            and np.isfinite(self.rewards).all()
        )
        if not fits:
            raise ValueError(
                f"{path}: expected arrays [prompts, samples] of one shape, got {shape}"
            )

    @classmethod
    def joined(cls, parts: Sequence[ReferenceSamples]) -> ReferenceSamples:
        """The samples of all `parts`, in this order. Parts have the same N and T."""
        return cls(
            [prompt for part in parts for prompt in part.prompts],
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("tokens", "lengths", "ended", "rewards")
            ),
        )

    def save(self, path: str | Path) -> None:
        """Write a compressed .npz of arrays, without pickles. Raises OSError."""
        with Path(path).open("wb") as file:  # np.savez would append .npz to another name
            np.savez_compressed(
                file,
                prompts=np.array(self.prompts),
                tokens=self.tokens,
                lengths=self.lengths,
                ended=self.ended,
                rewards=self.rewards.astype(np.float32),
            )

    def rows_in(self, prompts: Sequence[str]) -> list[int]:
        """The indices of the `prompts` that have samples."""
        known = set(self.prompts)
        return [row for row, prompt in enumerate(prompts) if prompt in known]

    def select(self, prompts: Sequence[str]) -> ReferenceSamples:
        """The samples of these prompts. Raises KeyError for a prompt without samples."""
        row = {prompt: index for index, prompt in enumerate(self.prompts)}
        rows = [row[prompt] for prompt in prompts]
        return ReferenceSamples(
            list(prompts),
            self.tokens[rows],
            self.lengths[rows],
            self.ended[rows],
            self.rewards[rows],
        )
