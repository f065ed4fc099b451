"""Activation checkpointing of a model in evaluation mode.

transformers recomputes a layer in the backward pass only if the layer is in training mode, which
would also turn on its dropout.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer


def checkpoint_layers(model: nn.Module) -> None:
    """Recompute the layers with enabled checkpointing, even if the model is in evaluation mode."""
    for layer in model.modules():
        if isinstance(layer, GradientCheckpointingLayer) and layer.gradient_checkpointing:
            checkpoint = layer._gradient_checkpointing_func
            if getattr(checkpoint, "func", None) is not _in_evaluation:
                layer._gradient_checkpointing_func = partial(_in_evaluation, checkpoint)
            layer.training = True  # not train(), so that its submodules stay in evaluation mode


def _in_evaluation(checkpoint: Callable, run: partial, *args: Any) -> Any:
    """Checkpoint `run`, the forward pass of a layer, with the dropout of the layer turned off."""
    layer = run.args[0]

    def forward(*inputs: Any) -> Any:
        layer.training = False
        try:
            return run(*inputs)
        finally:
            layer.training = True

    return checkpoint(forward, *args)
