"""A run's policy mixed with its reference, measured as the run was: same prompts, same noise."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from align_core.config.run_config import RunConfig
from align_core.evaluation.evaluator import Evaluator
from align_core.evaluation.provenance import config_of
from align_core.evaluation.task_in_nats import task_in_nats
from align_core.inference.loaded import LoadedModels, loaded_models
from align_core.models.realigned import Realigned
from align_core.models.sampling import end_ids
from align_core.training.probes import evaluator_of


def mixture(task: str, model: str, share: float) -> dict[str, Any]:
    """The evaluation of π_ref^(1−λ)·π^λ, with λ the `share`, for the policy of the run `model`.

    `kl` (nats) and `gain` are `eval/kl` and `eval/gain`, None if unknown, and `samples` are those
    of a `samples` event. At λ = 1 they are the run's own last ones.

    Raises:
        ConfigError: the run's preference file, whose prompts it was measured on, is gone.
    """
    config = config_of(model)
    assert config is not None  # `model` is a run
    loaded = loaded_models(model, task, config.model)
    evaluator = _evaluator(model, config, loaded)
    evaluation = evaluator(Realigned(loaded.policy, loaded.reference, share))
    metrics = evaluator.metrics(evaluation)
    return {
        "kl": metrics["eval/kl"],
        "gain": metrics["eval/gain"],
        "samples": evaluator.samples(evaluation),
    }


@lru_cache(maxsize=1)  # it keeps the reference's samples and the noise for the next share
def _evaluator(model: str, config: RunConfig, loaded: LoadedModels) -> Evaluator:
    task, _ = task_in_nats(config.task, model, config.model)
    ends = end_ids(loaded.policy, loaded.tokenizer)
    return evaluator_of(config, task, loaded.tokenizer, loaded.reference, loaded.proxy, ends)
