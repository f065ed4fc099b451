"""The size of an evaluation: fewer texts for larger models and longer completions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_core.config import model_index
from align_core.config.model_files import safetensors_header
from align_core.config.safe_files import read_object

_WEIGHTS = (".safetensors", ".bin", ".gguf")


@dataclass(frozen=True)
class EvaluationSize:
    """The numbers of probe prompts, of samples for each prompt, and of stored reference samples
    for each prompt, from which the optimum is computed."""

    prompts: int
    samples: int
    reference_samples: int

    @property
    def texts(self) -> int:
        """The number of sampled texts."""
        return self.prompts * self.samples


# The work of an evaluation is about texts × tokens × parameters. WORK is its limit: 24 texts of 40
# tokens from a model of 140 M parameters. With it, the evaluations take less than a quarter of the
# time of a run of 40 DPO steps of 8 pairs.
WORK = 24 * 40 * 140e6
FULL_SIZE = EvaluationSize(64, 4, 1024)
_SMALLER = (
    EvaluationSize(32, 2, 512),
    EvaluationSize(12, 2, 512),
    EvaluationSize(8, 2, 512),
)
MAX_DISTANCE_TEXTS, MIN_DISTANCE_TEXTS = 8, 2


def evaluation_size(model: Any, max_new_tokens: int) -> EvaluationSize:
    """The largest evaluation of `model` that WORK allows; the smallest one if WORK allows none, or
    if the size of `model` is unknown."""
    count = parameters(model)
    text_work = math.inf if count is None else count * max_new_tokens
    fitting = (size for size in (FULL_SIZE, *_SMALLER) if size.texts * text_work <= WORK)
    return next(fitting, _SMALLER[-1])


def distance_texts(config: Mapping[str, Any]) -> int:
    """The number of texts for each prompt in each of the two independent measurements of a run's
    distance from the optimum (`evaluation.distance`).

    The two measurements together have at most a third of the texts that the run's evaluations
    write, so that a run takes little longer. 0 if the run has no β, or if fewer than
    MIN_DISTANCE_TEXTS would be left.
    """
    if not config.get("beta"):
        return 0
    evaluations = 1 + math.ceil(config["steps"] / config["eval_every"])
    texts = min(MAX_DISTANCE_TEXTS, evaluations * config["eval_samples"] // 6)
    return texts if texts >= MIN_DISTANCE_TEXTS else 0


def parameters(model: Any) -> int | None:
    """The number of parameters of `model`, including its adapter; None if its files are not here.

    Weights in formats other than safetensors are assumed to have two bytes for each parameter.
    """
    try:
        location = model_index.files_of(model)
        files = [location] if location.is_file() else sorted(location.iterdir())
        count = sum(_parameters_in(file) for file in files if file.suffix in _WEIGHTS)
        adapter = location / "adapter_config.json"
        if adapter.is_file():
            base = read_object(adapter)["base_model_name_or_path"]
            base_parameters = model_index.files_of(base) != location and parameters(base)
            return count + base_parameters if base_parameters else None
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return count


def _parameters_in(path: Path) -> int:
    if path.suffix != ".safetensors":
        return path.stat().st_size // 2
    return sum(math.prod(tensor["shape"]) for tensor in safetensors_header(path).values())
