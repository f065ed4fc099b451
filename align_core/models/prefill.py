"""Prefill of a cache, in which equal prompts and the common start of all prompts are computed once.

Several texts are often sampled for one prompt, and prompts of a task often begin with the same
system prompt. The filled cache has the usual layout, with padding on the left, so that later passes
need no change.

Shapes: B prompts, U of them distinct, P tokens with padding, of which C are the common start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os.path import commonprefix

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from align_core.data.encoding import Prompts

SHORTEST = 8  # tokens; a shorter start is not worth a separate pass

# From token ids, attention mask and positions: logits and perhaps hidden states at the last token.
Forward = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class SharedPrompts:
    """Prompts without repetitions, and their common start.

    `distinct` has each different prompt once; `rows` [B] is the row of each of the B prompts in
    `distinct`; `start` [C] has the token ids with which all prompts begin, and is empty if there
    are too few for a separate pass.
    """

    distinct: Prompts
    rows: Tensor
    start: Tensor

    @classmethod
    def of(cls, prompts: Prompts, cache: DynamicCache) -> SharedPrompts:
        """The shared prompts; nothing is shared if a layer of `cache` does not keep all tokens."""
        if not keeps_all(cache):
            all_rows = torch.arange(len(prompts.ids), device=prompts.ids.device)
            return cls(prompts, all_rows, prompts.ids.new_zeros(0))
        pairs = zip(prompts.ids, prompts.mask.bool(), strict=True)
        texts = [tuple(ids[real].tolist()) for ids, real in pairs]
        first: dict[tuple[int, ...], int] = {}  # the first row of each different prompt
        for row, text in enumerate(texts):
            first.setdefault(text, row)
        number = {text: n for n, text in enumerate(first)}
        chosen = prompts.ids.new_tensor([*first.values()])
        distinct = Prompts(prompts.ids[chosen], prompts.mask[chosen])
        common = common_start(distinct)
        return cls(
            distinct,
            prompts.ids.new_tensor([number[text] for text in texts]),
            distinct.ids[0][distinct.mask[0].bool()][:common],
        )

    def prefill(self, forward: Forward, cache: DynamicCache) -> tuple[Tensor, Tensor | None]:
        """Fill the cache with all B prompts; returns the outputs of `forward` for each of them."""
        ids, mask = self.distinct.ids, self.distinct.mask
        positions, count = (mask.cumsum(1) - 1).clamp(min=0), len(self.start)
        if count:
            start_positions = torch.arange(count, device=ids.device)
            forward(self.start[None], torch.ones_like(self.start)[None], start_positions[None])
            spread_cache(cache, mask)
        logits, states = forward(ids[:, count:], mask, positions[:, count:])
        if len(ids) < len(self.rows):
            cache.batch_select_indices(self.rows)
        return logits[self.rows], None if states is None else states[self.rows]

    def joined(self, passes: list[Tensor]) -> Tensor:
        """The hidden states [B, P, H] of the prompts, given those of the `passes` of `prefill`."""
        *start, rest = passes
        if start:
            shared = _spread(start[0][:, None], self.distinct.mask)[:, 0]
            rest = torch.cat([shared, rest], 1)
        return rest[self.rows]


def common_start(prompts: Prompts) -> int:
    """The number of equal tokens with which all prompts begin; 0 if they are too few for a pass.

    The last token of each prompt is left for the pass that predicts the first sampled token.
    """
    rows = zip(prompts.ids, prompts.mask.bool(), strict=True)
    common = len(commonprefix([ids[real][:-1].tolist() for ids, real in rows]))
    return common if common >= SHORTEST and len(prompts.ids) > 1 else 0


def keeps_all(cache: DynamicCache) -> bool:
    """Whether each layer of a cache keeps the keys and values of all tokens, and nothing else."""
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def spread_cache(cache: DynamicCache, mask: Tensor) -> None:
    """Copy the cached keys and values of the common first tokens to every text.

    `mask` [U, L] is the attention mask of the texts, which are padded on the left.
    """
    for layer in {id(layer): layer for layer in cache.layers}.values():
        if layer.is_initialized:  # false for a layer that reads another's keys
            layer.keys, layer.values = _spread(layer.keys, mask), _spread(layer.values, mask)


def _spread(values: Tensor, mask: Tensor) -> Tensor:
    """The values [1, N, C, D] of the common tokens, copied to each text's first C columns:
    [U, N, C, D].

    Columns of padding get the values of the first token.
    """
    padding = (1 - mask).sum(1, keepdim=True)
    positions = torch.arange(values.shape[2], device=values.device) - padding
    return values[0][:, positions.clamp(min=0)].transpose(0, 1)
