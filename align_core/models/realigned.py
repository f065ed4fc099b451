"""Realignment at decoding time: a policy and its reference, mixed at each token.

If a policy π is optimal at β, mixing it with its reference gives the optima at all other β:
π_ref^(1−λ)·π^λ, normalised over whole texts, is the optimum at β/λ. Normalised at each token, as
here, it approximates that optimum without training (arXiv 2402.02992).
"""

from __future__ import annotations

from typing import Any

from transformers import DynamicCache, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from align_core.objectives import realigned_logits


class PairedCache(DynamicCache):
    """The caches of two models that read the same texts, as one cache with the layers of both."""

    def __init__(self, *configs: PreTrainedConfig) -> None:
        super().__init__()
        self.parts = [DynamicCache(config=config) for config in configs]
        self.layers = [layer for part in self.parts for layer in part.layers]


class Realigned:
    """A policy with the logits of π_ref^(1−λ)·π^λ, where λ is `share`; otherwise it is `policy`.

    It is for sampling and for forward passes, not for training. Both models have the same tokens.
    """

    def __init__(self, policy: PreTrainedModel, reference: PreTrainedModel, share: float) -> None:
        self.policy, self.reference, self.share = policy, reference, share

    def __getattr__(self, name: str) -> Any:
        return getattr(self.policy, name)

    def new_cache(self) -> PairedCache:
        """An empty cache for both models."""
        return PairedCache(self.policy.config, self.reference.config)

    def __call__(self, cache: PairedCache | None = None, **inputs: Any) -> CausalLMOutput:
        """The logits [B, N, V], in float32, of a forward pass of both models."""
        policy_cache, ref_cache = cache.parts if cache is not None else (None, None)
        logits = self.policy(**inputs, cache=policy_cache).logits.float()
        ref_logits = self.reference(**inputs, cache=ref_cache).logits.float()
        return CausalLMOutput(logits=realigned_logits(logits, ref_logits, self.share))
