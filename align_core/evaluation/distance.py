"""How far a policy is from the optimum at β: the gap in the objective, and the KL to the optimum.

J(π) = E_π[r] − β KL(π ‖ π_ref) is largest at π* = π_ref·exp(r/β)/Z (arXiv 2305.18290, Eq. 4), where
it is β log Z. As log(π/π*) = log(π/π_ref) − r/β + log Z for each text, every policy π has

    J(π*) − J(π) = β KL(π ‖ π*).

The two sides are measured by different quantities: the left one by the exact KL at each token of a
text, the right one by the log-ratio of the whole text. From different texts and different samples
of the reference they are independent, and their difference tests the equation.

Arrays are [P, n]: P prompts, n texts each, in nats; means are over prompts. Samples of the
reference [P, N] give log Z. Its estimate is low by (1/n_eff − 1/N)/2 on average, which is below
0.005 from 100 effective samples on; both sides share this bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from align_core.optimum import FloatArray, by_prompt, weights


@dataclass(frozen=True)
class Texts:
    """Texts of a policy, and those that its reference writes from the same random numbers.

    `kls` has the sum over a text's tokens of the exact KL(policy ‖ reference), `log_ratios` has
    log(policy / reference) of the text. The expectation of both is KL(policy ‖ reference).
    """

    rewards: FloatArray
    kls: FloatArray
    log_ratios: FloatArray
    reference_rewards: FloatArray


@dataclass(frozen=True)
class Estimate:
    """Estimates for each prompt, `by_prompt` [P]. `standard_error` is that of their mean, if the
    texts and samples of these prompts were drawn anew."""

    by_prompt: FloatArray
    standard_error: float

    @property
    def value(self) -> float:
        """The mean."""
        return float(self.by_prompt.mean())

    @property
    def ci95(self) -> float:
        """Half the width of the 95% interval."""
        return 1.96 * self.standard_error


def optimum_gap(texts: Texts, stored: FloatArray, beta: float) -> Estimate:
    """J(π*) − J(π), in nats of reward, by the exact KL at each token."""
    gap = _gap_over_beta(texts, texts.kls, stored, beta)
    return Estimate(beta * gap.by_prompt, beta * gap.standard_error)


def optimum_kl(texts: Texts, stored: FloatArray, beta: float) -> Estimate:
    """KL(π ‖ π*), in nats, by the log-ratios of whole texts."""
    return _gap_over_beta(texts, texts.log_ratios, stored, beta)


def _gap_over_beta(
    texts: Texts, divergences: FloatArray, stored: FloatArray, beta: float
) -> Estimate:
    """log Z − E_π[r/β − d], with d one of the two divergences.

    The rewards of the reference's texts are a control variate: their mean is known from the stored
    samples, and near the reference they vary as the policy's do.

    Raises:
        ValueError: there are fewer than two texts per prompt.
    """
    prompts, count = texts.rewards.shape
    if count < 2:
        raise ValueError(f"expected at least 2 texts per prompt, got {count}")
    objectives = texts.rewards / beta - divergences
    objective, control = _centred(objectives), _centred(texts.reference_rewards)
    spread = (control**2).sum()
    slope = (objective * control).sum() / spread if spread else 0.0
    known = stored.mean(-1)
    reward, kl, _ = by_prompt(stored, beta)  # of π*, whose objective is β log Z
    log_z = reward / beta - kl
    means = objectives.mean(-1) - slope * (texts.reference_rewards.mean(-1) - known)
    residuals = objective - slope * control
    text_variance = (residuals**2).sum() / (prompts * (count - 1) - 1) / (prompts * count)
    # The influence of each stored sample on log Z and on the control's known mean.
    samples = stored.shape[1]
    influence = samples * weights(stored, beta) - 1 - slope * (stored - known[:, None])
    sample_variance = (influence**2).sum() / (samples * (samples - 1)) / prompts**2
    return Estimate(log_z - means, float(np.sqrt(text_variance + sample_variance)))


def _centred(values: FloatArray) -> FloatArray:
    return values - values.mean(-1, keepdims=True)
