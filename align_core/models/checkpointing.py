"""Activation checkpointing of a model in evaluation mode.

transformers computes a layer again in the backward pass only if the layer is in training mode,
where its dropout is on, too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer


def checkpoint_layers(model: nn.Module) -> None:
    """Compute again those layers of a model in evaluation mode for which this was enabled."""
    for layer in model.modules():
        if isinstance(layer, GradientCheckpointingLayer) and layer.gradient_checkpointing:
            checkpoint = layer._gradient_checkpointing_func
            if getattr(checkpoint, "func", None) is not _in_evaluation:
                layer._gradient_checkpointing_func = partial(_in_evaluation, checkpoint)
            layer.training = True  # of this module alone: those in it stay in evaluation mode


def _in_evaluation(checkpoint: Callable, run: partial, *args: Any) -> Any:
    """Checkpoint `run`, the forward pass of a layer, which then has no dropout of its own."""
    layer = run.args[0]

    def forward(*inputs: Any) -> Any:
        layer.training = False
        try:
            return run(*inputs)
        finally:
            layer.training = True

    return checkpoint(forward, *args)
