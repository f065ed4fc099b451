"""The distance of a policy from the optimum at β, from two evaluations with different noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from align_core.evaluation.distance import Texts, optimum_gap, optimum_kl
from align_core.evaluation.evaluator import Evaluation
from align_core.optimum import FloatArray, ReferenceSamples, optimum

OTHER_NOISE = 2**40  # added to the seed of the second evaluation, so that its texts are other ones
UNKNOWN: dict[str, float | None] = dict.fromkeys(
    ("optimum_gap", "optimum_gap_ci95", "optimum_kl", "optimum_kl_ci95")
)


def optimum_distance(
    prompts: Sequence[str],
    stored: ReferenceSamples,
    beta: float,
    first: Evaluation,
    second: Evaluation,
) -> dict[str, float | None]:
    """The numbers of docs/metrics.md, on those of the prompts that have stored samples.

    The objective that the policy lacks comes from the first evaluation and the even samples, its KL
    to the optimum from the second one and the odd samples, so the two are independent. Both are
    None if a half has too few effective samples at this β, if a prompt has one text, or if a gold
    reward is unknown.
    """
    known = set(stored.prompts)
    rows = [row for row, prompt in enumerate(prompts) if prompt in known]
    if not rows:
        return UNKNOWN
    rewards = stored.select([prompts[row] for row in rows]).rewards
    even, odd = rewards[:, ::2], rewards[:, 1::2]
    facts = {"optimum_beta": beta, "optimum_prompts": len(rows)}
    texts = [texts_of(evaluation, len(prompts), rows) for evaluation in (first, second)]
    few = not all(optimum(half, beta).known for half in (even, odd))
    if few or texts[0].rewards.shape[1] < 2 or any(np.isnan(t.rewards).any() for t in texts):
        return UNKNOWN | facts
    gap, kl = optimum_gap(texts[0], even, beta), optimum_kl(texts[1], odd, beta)
    return {
        "optimum_gap": gap.value,
        "optimum_gap_ci95": gap.ci95,
        "optimum_kl": kl.value,
        "optimum_kl_ci95": kl.ci95,
        **facts,
    }


def texts_of(evaluation: Evaluation, prompts: int, rows: list[int]) -> Texts:
    """The texts of those `rows` of the evaluation's prompts, of which it has `prompts`."""
    pairs = zip(evaluation.logp, evaluation.ref_logp, strict=True)
    log_ratios = np.array([math.fsum(own) - math.fsum(reference) for own, reference in pairs])

    def of_prompts(values: FloatArray) -> FloatArray:
        return values.reshape(prompts, -1)[rows]

    return Texts(
        rewards=of_prompts(evaluation.policy.gold.double().cpu().numpy()),
        kls=of_prompts(evaluation.kl.double().cpu().numpy()),
        log_ratios=of_prompts(log_ratios),
        reference_rewards=of_prompts(evaluation.reference.gold.double().cpu().numpy()),
    )
