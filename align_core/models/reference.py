"""The reference of a policy: a model beside it, or the policy with its adapter switched off."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel


def as_reference(
    policy: PreTrainedModel | PeftModel, reference: PreTrainedModel | None
) -> tuple[PreTrainedModel | PeftModel, AbstractContextManager]:
    """The model to ask for reference log-probabilities, and the context in which to ask it.

    Without a separate reference the policy must carry an adapter: the reference is that policy with
    the adapter switched off, and no second copy of the weights exists.
    """
    if reference is not None:
        return reference, nullcontext()
    return policy, policy.disable_adapter()


@torch.no_grad()
def move_towards(model: nn.Module, target: nn.Module, share: float) -> None:
    """Move every weight of `model` by this share of its way to `target`, a model of its shape."""
    for ours, theirs in zip(model.parameters(), target.parameters(), strict=True):
        ours.lerp_(theirs, share)
