"""J(π*) − J(π) = β KL(π ‖ π*) at the end of a run, and the prompts that make up most of it."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedModel

from align_core.evaluation.evaluator import Evaluation
from align_core.evaluation.optimum_distance import SECOND_SEED_OFFSET, is_known, optimum_sides
from align_core.models.sampling import end_ids
from align_core.trainers.common import Setup
from align_core.training.probes import evaluator_of, probes_of

KL_SHARE = 0.5  # the share of `kl` that the counted prompts make up
NAMED = 3  # at most this many prompts are named


def distance(
    setup: Setup, policy: PreTrainedModel, beta: float, texts: int
) -> dict[str, Any] | None:
    """The distance of a run's policy from the optimum at β, on its probe prompts.

    `gap` is J(π*) − J(π) and `kl` is β·KL(π ‖ π*), both in nats of reward, with half the width of a
    95% interval as `…_ci95`. Each of the two has its own texts, `texts` for each of the `prompts`,
    and its own stored samples. The `count` prompts with the largest KL make up half of `kl`, and
    the share `share` of `gap`; the first of them are `named`. Returns None if the optimum at β is
    not known. Raises Interrupted.
    """
    config = setup.config
    probes = probes_of(config, setup.task, setup.tokenizer)
    stored = probes.stored(config)
    if stored is None or not is_known(probes.prompts, stored, beta):
        return None

    def evaluation(noise: int) -> Evaluation:
        size = {"seed": config.seed + noise, "eval_samples": texts}
        evaluate = evaluator_of(
            config.model_copy(update=size),
            setup.task,
            setup.tokenizer,
            setup.reference,
            None,
            end_ids(policy, setup.tokenizer),
            setup.interrupted,
        )
        return evaluate(policy)

    sides = optimum_sides(
        probes.prompts, stored, beta, evaluation(0), evaluation(SECOND_SEED_OFFSET)
    )
    if sides is None:
        return None
    rows, share = sides.heaviest(KL_SHARE)
    return {
        "beta": beta,
        "gap": sides.gap.value,
        "gap_ci95": sides.gap.ci95,
        "kl": beta * sides.kl.value,
        "kl_ci95": beta * sides.kl.ci95,
        "prompts": len(sides.rows),
        "texts": texts,
        "count": len(rows),
        "share": share,
        "named": [probes.prompts[row] for row in rows[:NAMED]],
    }
