"""The layers of a policy below its first trained one, computed once.

With an adapter on the last k of L layers, the first L − k are the same for policy and reference, in
every epoch. Their output for a token, its trunk state, is kept, and only the last k layers are
computed again. The trunk states are the inputs of the first trained layer.

Shapes: B texts of L tokens, H the width of the hidden states.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from align_core.models import distributed
from align_core.models.loading import eval_mode
from align_core.models.prefill import keeps_all, spread_cache

_LOG = logging.getLogger(__name__)
# Relative to the largest trunk state or logit. Layers that are called wrongly differ by far more.
_TOLERANCE = 1e-3


class FrozenTrunk:
    """The frozen lower layers of a policy, and a view of the rest that starts from their output.

    Both are views: they share every module with the policy, and so follow its adapter, its device
    and its precision.

    Args:
        decoder: the policy's model without its output layer.
        layers: the name of the decoder's list of layers.
        depth: the number of frozen layers.
        head: the policy's output layer, from last hidden states to logits.
    """

    def __init__(self, decoder: PreTrainedModel, layers: str, depth: int, head: nn.Linear) -> None:
        blocks = getattr(decoder, layers)
        self.depth = depth
        self._first_trained, self._last_frozen = blocks[depth], blocks[depth - 1]
        self._lower = _with_layers(decoder, layers, slice(0, depth))
        self._upper = _with_layers(decoder, layers, slice(depth, None))
        self.head = head
        self.width: int = decoder.config.hidden_size

    @torch.no_grad()
    def states(self, **inputs: Any) -> Tensor:
        """Trunk states [B, L, H] of texts, given the arguments of a forward pass."""
        with _recording(self._last_frozen, outputs=True) as recorded:
            self._lower(**inputs, use_cache=False)
        return recorded.pop()

    def last_states(self, trunk_states: Tensor, **inputs: Any) -> Tensor:
        """Last hidden states [B, L, H], those that the output layer takes, given trunk states."""
        return self._upper(inputs_embeds=trunk_states, **inputs, use_cache=False).last_hidden_state

    def last_states_after(
        self, common: int, trunk_states: Tensor, attention_mask: Tensor, position_ids: Tensor
    ) -> Tensor:
        """`last_states` without the first C columns: [B, L − C, H]. The texts are padded on the
        left, and all begin with the same C tokens (C is `common`). These tokens are computed once,
        unless activation checkpointing is on: layers that are recomputed get no cache."""
        cache = self._cache()
        if not common or not keeps_all(cache) or self._upper.is_activation_checkpointing:
            inputs = {"attention_mask": attention_mask, "position_ids": position_ids}
            return self.last_states(trunk_states, **inputs)[:, common:]
        begin = trunk_states.shape[1] - int(attention_mask[0].sum())
        self._upper(
            inputs_embeds=trunk_states[:1, begin : begin + common],
            position_ids=torch.arange(common, device=trunk_states.device)[None],
            cache=cache,
            use_cache=True,
        )
        spread_cache(cache, attention_mask)
        return self._upper(
            inputs_embeds=trunk_states[:, common:],
            attention_mask=attention_mask,
            position_ids=position_ids[:, common:],
            cache=cache,
            use_cache=True,
        ).last_hidden_state

    def _cache(self) -> DynamicCache:
        """A cache for the upper layers, which keep their indices of the whole model. The frozen
        layers also have entries, because the length of a cache is read from layer 0."""
        cache = DynamicCache(config=self._upper.config)
        cache.layers = [cache.layers[0]] * self.depth + cache.layers
        return cache

    @contextmanager
    def recording(self) -> Iterator[list[Tensor]]:
        """A context that yields a list, to which every forward pass of the policy appends its trunk
        states [B, L, H]."""
        with _recording(self._first_trained, outputs=False) as recorded:
            yield recorded


def frozen_trunk(policy: PreTrainedModel | PeftModel) -> FrozenTrunk | None:
    """The frozen trunk of a policy whose trained weights all belong to its last layers, else None.

    Also None for a sharded model, and for an architecture whose upper layers need more than trunk
    states, such as one that adds position embeddings, or scales inputs, before the first layer.
    """
    base = policy.get_base_model() if isinstance(policy, PeftModel) else policy
    decoder, head = base.base_model, base.get_output_embeddings()
    depths = [
        (name, depth)
        for name, module in decoder.named_children()
        if isinstance(module, nn.ModuleList) and len(module) == base.config.num_hidden_layers
        if (depth := _frozen_layers(base, module)) > 0
    ]
    # `_agrees` would miss a soft cap, which hardly changes the small logits of an untrained model.
    capped = getattr(base.config, "final_logit_softcapping", None) is not None
    if len(depths) != 1 or type(head) is not nn.Linear or capped or distributed.SHARDED_BY:
        return None
    ((layers, depth),) = depths
    try:
        trunk = FrozenTrunk(decoder, layers, depth, head)
        exact = _agrees(trunk, policy)
    except Exception as error:  # an architecture may take other arguments
        _LOG.info("%s is computed whole: %r", type(base).__name__, error)
        return None
    if not exact:
        _LOG.info("%s is computed whole: its upper layers need more than trunk states", type(base))
        return None
    return trunk


def trunk_of_samples(recorded: list[Tensor], mask: Tensor) -> Tensor:
    """Trunk states [B, P + T, H] of prompts and samples, as recorded while they were sampled.

    `recorded` starts with the states of the prompts [B, P, H]. Then come, for t = 1, 2, …, the
    states [N, 1, H] of token t − 1 in the N texts that had not ended. `mask` [B, T] is true at the
    tokens of the samples. The states of a text's last token are zeros: the model was never given
    that token, and no other token attends to it.
    """
    prompts, *steps = recorded
    trunk = prompts.new_zeros(*mask.shape, prompts.shape[2])
    for t, states in enumerate(steps, start=1):
        trunk[mask[:, t], t - 1] = states[:, 0]
    return torch.cat([prompts, trunk], 1)


def _frozen_layers(base: PreTrainedModel, blocks: nn.ModuleList) -> int:
    """The number of layers below the first trained one; 0 if a weight outside the layers is
    trained."""
    trained = {id(p) for p in base.parameters() if p.requires_grad}
    by_layer = [[id(p) for p in block.parameters() if id(p) in trained] for block in blocks]
    if not trained or len(trained) > sum(map(len, by_layer)):
        return 0
    return next(depth for depth, parameters in enumerate(by_layer) if parameters)


def _with_layers(decoder: PreTrainedModel, name: str, part: slice) -> PreTrainedModel:
    """A view of the decoder with only the layers in the slice `part` of its list `name`."""
    view = copy.copy(decoder)
    view._modules = dict(decoder._modules)
    blocks = list(getattr(decoder, name))[part]
    view._modules[name] = nn.ModuleList(blocks)
    view.config = copy.deepcopy(decoder.config)
    view.config.num_hidden_layers = len(blocks)
    if getattr(decoder.config, "layer_types", None) is not None:
        view.config.layer_types = decoder.config.layer_types[part]
    return view


@contextmanager
def _recording(layer: nn.Module, outputs: bool) -> Iterator[list[Tensor]]:
    """A context that yields a list, to which every forward pass appends the output of the layer, or
    its input if `outputs` is false."""
    recorded: list[Tensor] = []

    def before(_: nn.Module, args: tuple, kwargs: dict) -> None:
        recorded.append(args[0] if args else kwargs["hidden_states"])

    def after(_: nn.Module, args: tuple, output: Any) -> None:
        recorded.append(output[0] if isinstance(output, tuple) else output)

    if outputs:
        hook = layer.register_forward_hook(after)
    else:
        hook = layer.register_forward_pre_hook(before, with_kwargs=True)
    try:
        yield recorded
    finally:
        hook.remove()


@torch.no_grad()
def _agrees(trunk: FrozenTrunk, policy: PreTrainedModel | PeftModel) -> bool:
    """Whether trunk, upper layers and output layer give the policy's own logits on two short
    texts."""
    inputs = two_texts(policy, trunk.head)
    arguments = {name: inputs[name] for name in ("attention_mask", "position_ids")}
    with eval_mode(policy), trunk.recording() as recorded:
        expected = policy(**inputs, use_cache=False).logits
        states = trunk.states(**inputs)
        logits = trunk.head(trunk.last_states(states, **arguments))
    real = inputs["attention_mask"].bool()
    return agree(states[real], recorded[0][real]) and agree(logits[real], expected[real])


def two_texts(policy: PreTrainedModel | PeftModel, rows: nn.Module) -> dict[str, Tensor]:
    """The inputs of a forward pass over two short texts, the second with padding on its left.
    `rows` is a layer with a row of weights for each token."""
    ids = torch.arange(14, device=policy.device).view(2, 7) * 7919 % rows.weight.shape[0]
    mask = torch.ones_like(ids)
    mask[1, :3] = 0
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    return {"input_ids": ids, "attention_mask": mask, "position_ids": positions}


def agree(first: Tensor, second: Tensor) -> bool:
    """Whether two ways of computing the same states or logits agree up to rounding."""
    return bool((first - second).abs().max() <= _TOLERANCE * second.abs().max())
