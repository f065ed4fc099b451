"""What several prompts have in common is computed once: all of it, or how they begin.

Texts of one prompt share all of it, and prompts of a task often begin in the same way, with a
system prompt. The layout stays that of the prompts, padded on the left, so that all later passes
are the same.

Shapes: B prompts, U different ones, P tokens with padding, of which the C first are computed once.
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

SHORTEST = 8  # tokens that are worth a pass of their own

# From token ids, attention mask and positions: logits and perhaps hidden states at the last token.
Forward = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class SharedPrompts:
    """Prompts, by what they have in common.

    `different` has each prompt once, `rows` [B] the number there of each of the B prompts, and
    `start` [C] the token ids with which all of them begin, empty where it is not worth a pass.
    """

    different: Prompts
    rows: Tensor
    start: Tensor

    @classmethod
    def of(cls, prompts: Prompts, cache: DynamicCache) -> SharedPrompts:
        """What these prompts share: nothing if a layer of `cache` does not keep all of a text."""
        if not keeps_all(cache):
            each = torch.arange(len(prompts.ids), device=prompts.ids.device)
            return cls(prompts, each, prompts.ids.new_zeros(0))
        pairs = zip(prompts.ids, prompts.mask.bool(), strict=True)
        texts = [tuple(ids[real].tolist()) for ids, real in pairs]
        first: dict[tuple[int, ...], int] = {}  # the first row of each different prompt
        for row, text in enumerate(texts):
            first.setdefault(text, row)
        number = {text: n for n, text in enumerate(first)}
        chosen = prompts.ids.new_tensor([*first.values()])
        different = Prompts(prompts.ids[chosen], prompts.mask[chosen])
        common = common_start(different)
        return cls(
            different,
            prompts.ids.new_tensor([number[text] for text in texts]),
            different.ids[0][different.mask[0].bool()][:common],
        )

    def prefill(self, forward: Forward, cache: DynamicCache) -> tuple[Tensor, Tensor | None]:
        """Fill the cache with all B prompts; returns the outputs of `forward` for each of them."""
        ids, mask = self.different.ids, self.different.mask
        positions, count = (mask.cumsum(1) - 1).clamp(min=0), len(self.start)
        if count:
            place = torch.arange(count, device=ids.device)
            forward(self.start[None], torch.ones_like(self.start)[None], place[None])
            spread_cache(cache, mask)
        logits, states = forward(ids[:, count:], mask, positions[:, count:])
        if len(ids) < len(self.rows):
            cache.batch_select_indices(self.rows)
        return logits[self.rows], None if states is None else states[self.rows]

    def joined(self, passes: list[Tensor]) -> Tensor:
        """Hidden states [B, P, H] of the prompts, from those of each pass of `prefill`."""
        *start, rest = passes
        if start:
            shared = _spread(start[0][:, None], self.different.mask)[:, 0]
            rest = torch.cat([shared, rest], 1)
        return rest[self.rows]


def common_start(prompts: Prompts) -> int:
    """With how many equal tokens all prompts begin; 0 if that is not worth a pass of its own.

    The last token of each prompt is left for the pass that predicts the next one.
    """
    rows = zip(prompts.ids, prompts.mask.bool(), strict=True)
    common = len(commonprefix([ids[real][:-1].tolist() for ids, real in rows]))
    return common if common >= SHORTEST and len(prompts.ids) > 1 else 0


def keeps_all(cache: DynamicCache) -> bool:
    """Whether each layer of a cache keeps the keys and values of all tokens, and nothing else."""
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def spread_cache(cache: DynamicCache, mask: Tensor) -> None:
    """Give what is in a cache, the first tokens of all texts, to each of the texts.

    `mask` [U, L] is theirs, padded on the left.
    """
    for layer in {id(layer): layer for layer in cache.layers}.values():
        if layer.is_initialized:  # a layer that reads those of another one is not
            layer.keys, layer.values = _spread(layer.keys, mask), _spread(layer.values, mask)


def _spread(values: Tensor, mask: Tensor) -> Tensor:
    """Values [1, N, C, D] of the common tokens at the first C columns of each text: [U, N, C, D].

    Columns of padding have the values of the first token.
    """
    padding = (1 - mask).sum(1, keepdim=True)
    place = torch.arange(values.shape[2], device=values.device) - padding
    return values[0][:, place.clamp(min=0)].transpose(0, 1)
