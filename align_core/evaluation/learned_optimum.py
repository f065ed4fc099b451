"""The optimum of a learned reward r̂, and how far it is from the optimum of the gold reward r.

A policy that is trained on r̂ at β seeks π*_r̂ ∝ π_ref·exp(r̂/β), as one trained on r seeks π*. With
J(π) = E_π[r] − β KL(π ‖ π_ref), its distance from the optimum has two parts:

    J(π*) − J(π) = [J(π*) − J(π*_r̂)] + [J(π*_r̂) − J(π)].

The first part is the error of the reward model, which is never negative; it is computed from
samples of the reference, with self-normalised weights. The second is the error of the training. It
is negative if a policy that has not reached π*_r̂ has a higher J than π*_r̂.

Arrays are [P, N]: P prompts, N samples each, in nats; means are over prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from align_core.evaluation.distance import Estimate, optimum_gap
from align_core.evaluation.evaluator import Evaluation
from align_core.evaluation.optimum_distance import texts_of
from align_core.evaluation.reference_samples import stored_scores
from align_core.models.prompts import model_inputs
from align_core.models.rewards import ProxyReward
from align_core.optimum import (
    FloatArray,
    ReferenceSamples,
    by_prompt,
    optimum,
    weights,
)
from align_core.tasks import Task

# At the end of a run a reward model scores SCORED samples of each prompt, or as many as WORK allows
# (parameters × texts; two seconds of a processor). With fewer than MIN_SCORED samples, or fewer
# than MIN_EFFECTIVE effective ones, `gap` would be too low.
SCORED, MIN_SCORED, MIN_EFFECTIVE = 32, 16, 8.0
WORK = 64 * SCORED * 1e6

# Samples -> the learned rewards [P, n] of the first n samples of each prompt.
Score = Callable[[ReferenceSamples], FloatArray]


@dataclass(frozen=True)
class LearnedOptimum:
    """π*_r̂ compared with π* at one β, on the same samples.

    `reward` and `kl` are those of π*_r̂ minus those of π*, `gap` is J(π*) − J(π*_r̂), and
    `effective_samples` is the mean effective number of samples of a prompt under π*_r̂.
    """

    reward: float
    kl: float
    effective_samples: float
    gap: Estimate


def learned_optimum(rewards: FloatArray, learned: FloatArray, beta: float) -> LearnedOptimum:
    """π*_r̂ compared with π*, from the gold and the `learned` rewards of the same samples.

    A constant that is added to all learned rewards of a prompt changes nothing. The standard error
    is over samples, for these prompts.
    """
    best, best_kl, _ = by_prompt(rewards, beta)
    _, kl, effective = by_prompt(learned, beta)
    gold_weights, learned_weights = weights(rewards, beta), weights(learned, beta)
    reward = (learned_weights * rewards).sum(-1)
    gaps = (best - beta * best_kl) - (reward - beta * kl)
    # J(π*) = β log Z and J(π*_r̂) = E_π*_r̂[r − r̂] + β log Z_r̂: the influence of each sample.
    error = rewards - learned
    error = error - (learned_weights * error).sum(-1, keepdims=True)
    prompts, samples = rewards.shape
    influence = samples * (beta * (gold_weights - learned_weights) - learned_weights * error)
    variance = (influence**2).sum() / (samples * (samples - 1)) / prompts**2
    return LearnedOptimum(
        float((reward - best).mean()),
        float((kl - best_kl).mean()),
        float(effective.mean()),
        Estimate(gaps, float(np.sqrt(variance))),
    )


def shortfall(
    prompts: Sequence[str],
    stored: ReferenceSamples,
    evaluation: Evaluation,
    beta: float,
    score: Score | None,
) -> dict[str, float]:
    """The distance from the optimum at β, and the part of it that is the reward model's error.

    Returns those of the metrics in docs/metrics.md that are known, as means over the prompts that
    have stored samples: none if gold rewards are unknown, or if there are too few effective samples
    at this β. `score` gives the learned reward; it is None for a policy that was trained on the
    gold reward.
    """
    rows = stored.rows_in(prompts)
    if not rows or beta <= 0:
        return {}
    stored = stored.select([prompts[row] for row in rows])
    rewards, texts = stored.rewards, texts_of(evaluation, len(prompts), rows)
    best = optimum(rewards, beta)
    if not best.known or texts.rewards.shape[1] < 2 or np.isnan(texts.rewards).any():
        return {}
    gap = optimum_gap(texts, rewards, beta)
    metrics = {"optimum_gap": gap.value, "optimum_gap_ci95": gap.ci95}
    if score is not None:
        scores = score(stored)
        learned = learned_optimum(rewards[:, : scores.shape[1]], scores, beta)
        if learned.effective_samples >= MIN_EFFECTIVE:
            metrics |= {
                "learned_optimum_above_reference": best.reward + learned.reward - rewards.mean(),
                "learned_optimum_kl": best.kl + learned.kl,
                "learned_optimum_gap": learned.gap.value,
                "learned_optimum_gap_ci95": learned.gap.ci95,
            }
    return {f"eval/{name}": float(value) for name, value in metrics.items()}


def score_of(
    proxy: ProxyReward, writer: PreTrainedTokenizerBase, task: Task, prompts: int
) -> Score | None:
    """A function that scores the first samples of each prompt by a reward model.

    It scores SCORED samples, or as many as WORK allows for this number of `prompts`; None if these
    are fewer than MIN_SCORED. `writer` is the tokenizer of the samples.
    """
    count = min(SCORED, int(WORK / (proxy.model.num_parameters() * prompts)))
    if count < MIN_SCORED:
        return None

    def score(stored: ReferenceSamples) -> FloatArray:
        samples = min(count, stored.rewards.shape[1])
        rows = [(row, sample) for row in range(len(stored.prompts)) for sample in range(samples)]
        inputs = model_inputs(writer, task, stored.prompts)
        return stored_scores(proxy, writer, stored, rows, inputs).view(-1, samples).numpy()

    return score
