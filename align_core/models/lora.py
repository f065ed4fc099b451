"""LoRA adapters: on which modules and layers of a model they are put."""

from __future__ import annotations

import re

from peft import LoraConfig
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from align_core.config.errors import ConfigError, option_error

LARGE_MODEL = 50_000_000  # parameters; larger models have other defaults
LARGE_MODEL_LORA_LAYERS = 8


def lora_config(
    model: PreTrainedModel, rank: int, task_type: str, layers: int | None = None
) -> LoraConfig | None:
    """LoRA on the linear modules of the last `layers` layers (arXiv 2106.09685); None at rank 0.

    By default it is on all layers, and in a model larger than LARGE_MODEL on the last
    LARGE_MODEL_LORA_LAYERS.

    Raises:
        ConfigError: the model has fewer than `layers` layers.
    """
    if rank == 0:
        return None
    adapter = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type=task_type
    )
    if layers is None and is_large(model):
        layers = min(LARGE_MODEL_LORA_LAYERS, model.config.num_hidden_layers)
    if layers is not None:
        count = model.config.num_hidden_layers
        if layers > count:
            expected = f"at most the {count} layers of the model"
            raise ConfigError(option_error("--lora-layers", layers, expected))
        adapter.target_modules = linear_names(model)  # PEFT selects layers only by module names
        adapter.layers_to_transform = list(range(count - layers, count))
    return adapter


def is_large(model: nn.Module) -> bool:
    """Whether the model has more than LARGE_MODEL parameters."""
    return sum(p.numel() for p in model.parameters()) > LARGE_MODEL


def linear_names(model: PreTrainedModel) -> set[str]:
    """The names, within a layer, of its linear modules: {"q_proj", "up_proj", …}."""
    in_layer = re.compile(r"\.\d+\..*?([^.]+)$")
    matches = (
        in_layer.search(name)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    )
    return {match[1] for match in matches if match}
