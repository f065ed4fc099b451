"""The reference of a policy: a separate model, or the policy with its adapter disabled."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel


def as_reference(
    policy: PreTrainedModel | PeftModel, reference: PreTrainedModel | None
) -> tuple[PreTrainedModel | PeftModel, AbstractContextManager]:
    """The model that gives reference log-probabilities, and the context in which to call it.

    Without a separate reference the policy must have an adapter: the reference is the policy with
    its adapter disabled, and there is no second copy of the weights.
    """
    if reference is not None:
        return reference, nullcontext()
    return policy, policy.disable_adapter()


@torch.no_grad()
def move_towards(model: nn.Module, target: nn.Module, share: float) -> None:
    """Set every weight of `model` to (1 − share)·model + share·target, models of the same shape."""
    for ours, theirs in zip(model.parameters(), target.parameters(), strict=True):
        ours.lerp_(theirs, share)
