"""J(π*) − J(π) = β KL(π ‖ π*) for a run: both sides, and the prompts that make up most of them."""

from __future__ import annotations

from typing import Any

from align_core.config.errors import ConfigError, option_error
from align_core.evaluation.evaluator import Evaluation
from align_core.evaluation.optimum_distance import OTHER_NOISE, optimum_sides
from align_core.evaluation.prepared import stored_samples
from align_core.evaluation.provenance import beta_of, config_of
from align_core.evaluation.task_in_nats import task_in_nats
from align_core.inference.loaded import loaded_models
from align_core.models.sampling import end_ids
from align_core.training.probes import evaluator_of, probes_of

TEXTS = 16  # of each prompt, for each side
MOST_OF_IT = 0.5
NAMED = 3  # prompts


def distance(task: str, model: str) -> dict[str, Any]:
    """The distance of the run `model` from the optimum at its last β, on its probe prompts.

    `gap` is J(π*) − J(π) and `kl` is β·KL(π ‖ π*), from other texts and other stored samples, both
    in nats of reward, with half the width of a 95% interval as `…_ci95`. The `count` prompts with
    the largest KL make up half of `kl`, and the `share` of `gap`; the first of them are `named`.

    Raises:
        ConfigError: the run does not seek this optimum, or the optimum at its β is not known.
    """
    config, beta = config_of(model), beta_of(model)
    if config is None or beta is None:
        raise _unknown(model)
    loaded = loaded_models(model, task, config.model)
    the_task, _ = task_in_nats(task, model, config.model)
    probes = probes_of(config, the_task, loaded.tokenizer)
    stored = None if probes.own else stored_samples(task, config.model, "probe")
    if stored is None:
        raise _unknown(model)
    ends = end_ids(loaded.policy, loaded.tokenizer)

    def evaluation(noise: int) -> Evaluation:
        size = {"seed": config.seed + noise, "eval_samples": TEXTS}
        settings = config.model_copy(update=size)
        evaluate = evaluator_of(settings, the_task, loaded.tokenizer, loaded.reference, None, ends)
        return evaluate(loaded.policy)

    texts = evaluation(0), evaluation(OTHER_NOISE)
    sides = optimum_sides(probes.prompts, stored, beta, *texts)
    if sides is None:
        raise _unknown(model)
    rows, share = sides.heaviest(MOST_OF_IT)
    return {
        "beta": beta,
        "gap": sides.gap.value,
        "gap_ci95": sides.gap.ci95,
        "kl": beta * sides.kl.value,
        "kl_ci95": beta * sides.kl.ci95,
        "prompts": len(sides.rows),
        "count": len(rows),
        "share": share,
        "named": [probes.prompts[row] for row in rows[:NAMED]],
    }


def _unknown(model: str) -> ConfigError:
    expected = "a run whose optimum at its β is known"
    return ConfigError(option_error("--model", model, expected, "known_optimum"))
