"""The reference of a policy: a separate model, or the policy with its adapter disabled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeAlias

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.errors import ConfigError, option_error
from align_core.models.loading import load_policy, load_tokenizer


class OtherTokens(ConfigError):
    """The tokens of a reference differ from the policy's."""


def load_reference(
    name: str, policy: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase
) -> PreTrainedModel | PeftModel:
    """The reference `name` of a policy with this tokenizer.

    Raises:
        OtherTokens: its tokens differ from the policy's, in number or in order.
    """
    ref_tokenizer, reference = load_tokenizer(name), load_policy(name)
    problem = None
    if ref_tokenizer.get_vocab() != tokenizer.get_vocab():
        problem = f"its {len(ref_tokenizer)} tokens are not the policy's {len(tokenizer)}"
    rows, ref_rows = (
        model.get_output_embeddings().weight.shape[0] for model in (policy, reference)
    )
    if rows != ref_rows:
        problem = f"it has {ref_rows} rows of logits, the policy {rows}"
    if problem:
        expected = f"a model with the tokens of the policy: {problem}"
        raise OtherTokens(option_error("--reference", name, expected))
    return reference


class InitialWeights:
    """A copy of a policy's trainable weights, as its reference. Frozen weights are not copied.

    For a policy with an adapter that was trained before, these are the adapter's weights.
    """

    def __init__(self, policy: nn.Module) -> None:
        self._weights = [(p, p.detach().clone()) for p in policy.parameters() if p.requires_grad]

    @contextmanager
    def restored(self) -> Iterator[None]:
        """A context in which the policy has these weights, for forward passes without gradients."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        swapped = [(p, p.data, weights.to(p.device)) for p, weights in self._weights]
        for parameter, _, weights in swapped:
            parameter.data = weights
        self._weights = [(parameter, current) for parameter, current, _ in swapped]


Reference: TypeAlias = PreTrainedModel | PeftModel | InitialWeights | None


def as_reference(
    policy: PreTrainedModel | PeftModel, reference: Reference
) -> tuple[PreTrainedModel | PeftModel, AbstractContextManager]:
    """The model that gives reference log-probabilities, and the context in which to call it.

    Without a separate reference the policy must have an adapter: the reference is the policy with
    its adapter disabled, or with its initial weights, and there is no second copy of all weights.
    """
    if isinstance(reference, InitialWeights):
        return policy, reference.restored()
    if reference is not None:
        return reference, nullcontext()
    return policy, policy.disable_adapter()


@torch.no_grad()
def move_towards(model: nn.Module, target: nn.Module, share: float) -> None:
    """Set every weight of `model` to (1 − share)·model + share·target; both models have the
    same shapes."""
    for weights, target_weights in zip(model.parameters(), target.parameters(), strict=True):
        weights.lerp_(target_weights, share)
