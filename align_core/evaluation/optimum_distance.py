"""The distance of a policy from the optimum at β, from two evaluations with different noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from align_core.evaluation.distance import Estimate, Texts, optimum_gap, optimum_kl
from align_core.evaluation.evaluator import Evaluation
from align_core.optimum import FloatArray, ReferenceSamples, optimum

SECOND_SEED_OFFSET = 2**40  # added to the seed of the second evaluation: its texts differ
UNKNOWN: dict[str, float | None] = dict.fromkeys(
    ("optimum_gap", "optimum_gap_ci95", "optimum_kl", "optimum_kl_ci95")
)


@dataclass(frozen=True)
class Sides:
    """Both sides of J(π*) − J(π) = β KL(π ‖ π*) for the prompts at `rows`."""

    rows: list[int]
    gap: Estimate
    kl: Estimate

    def heaviest(self, share: float) -> tuple[list[int], float]:
        """The fewest rows that make up this share of `kl`, largest first, and their share of `gap`.

        These rows were chosen for their large `kl`, so noise makes their share of `kl` too large.
        Their share of `gap` has no such bias, because `gap` is independent of `kl`.
        """
        order = np.argsort(-self.kl.by_prompt)
        cumulative = self.kl.by_prompt[order].cumsum()
        chosen = order[: int(np.searchsorted(cumulative, share * cumulative[-1])) + 1]
        gap_share = self.gap.by_prompt[chosen].sum() / self.gap.by_prompt.sum()
        return [self.rows[index] for index in chosen], float(gap_share)


def is_known(prompts: Sequence[str], stored: ReferenceSamples, beta: float) -> bool:
    """Whether some of the prompts have stored samples, and each half of these samples has enough
    effective ones at this β. If not, `optimum_sides` is None for all evaluations."""
    rows = stored.rows_in(prompts)
    return bool(rows) and all(
        optimum(half, beta).known for half in _halves(stored, [prompts[row] for row in rows])
    )


def optimum_sides(
    prompts: Sequence[str],
    stored: ReferenceSamples,
    beta: float,
    first: Evaluation,
    second: Evaluation,
) -> Sides | None:
    """Both sides of the equation, on those of the prompts that have stored samples.

    The gap in the objective comes from the first evaluation and the even samples, the KL to the
    optimum from the second evaluation and the odd samples, so the two are independent. None if not
    `is_known`, if there is only one text per prompt, or if a gold reward is unknown.
    """
    if not is_known(prompts, stored, beta):
        return None
    rows = stored.rows_in(prompts)
    even, odd = _halves(stored, [prompts[row] for row in rows])
    texts = [texts_of(evaluation, len(prompts), rows) for evaluation in (first, second)]
    if texts[0].rewards.shape[1] < 2 or any(np.isnan(t.rewards).any() for t in texts):
        return None
    return Sides(rows, optimum_gap(texts[0], even, beta), optimum_kl(texts[1], odd, beta))


def optimum_distance(
    prompts: Sequence[str],
    stored: ReferenceSamples,
    beta: float,
    first: Evaluation,
    second: Evaluation,
) -> dict[str, float | None]:
    """The metrics `optimum_…` of docs/metrics.md; the gap and the KL are None if `optimum_sides` is
    None."""
    if not (count := len(stored.rows_in(prompts))):
        return UNKNOWN
    facts = {"optimum_beta": beta, "optimum_prompts": count}
    sides = optimum_sides(prompts, stored, beta, first, second)
    if sides is None:
        return UNKNOWN | facts
    return {
        "optimum_gap": sides.gap.value,
        "optimum_gap_ci95": sides.gap.ci95,
        "optimum_kl": sides.kl.value,
        "optimum_kl_ci95": sides.kl.ci95,
        **facts,
    }


def _halves(stored: ReferenceSamples, prompts: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """The rewards of the even samples, and those of the odd ones."""
    rewards = stored.select(prompts).rewards
    return rewards[:, ::2], rewards[:, 1::2]


def texts_of(evaluation: Evaluation, prompts: int, rows: list[int]) -> Texts:
    """The texts for the prompts with the numbers `rows`, of an evaluation on `prompts` prompts."""
    pairs = zip(evaluation.logp, evaluation.ref_logp, strict=True)
    log_ratios = np.array([math.fsum(logp) - math.fsum(ref_logp) for logp, ref_logp in pairs])

    def by_prompt(values: FloatArray) -> FloatArray:
        return values.reshape(prompts, -1)[rows]

    return Texts(
        rewards=by_prompt(evaluation.policy.gold.double().cpu().numpy()),
        kls=by_prompt(evaluation.kl.double().cpu().numpy()),
        log_ratios=by_prompt(log_ratios),
        reference_rewards=by_prompt(evaluation.reference.gold.double().cpu().numpy()),
    )
