"""Sampling with chance that is known.

Shapes: B texts, P prompt tokens (padded on the left), T response tokens (padded on the right),
V vocabulary entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from align_core.data.encoding import Prompts
from align_core.objectives import token_logprobs


class Interrupted(Exception):
    """Sampling was told to stop before it was done."""


@dataclass(frozen=True)
class Responses:
    """Sampled responses: tokens [B, T], their mask, and what was known when they were drawn.

    `mask` is true at response tokens, the end token included; `ended` [B] says which texts ended
    by themselves; `logp` [B, T] is the log-probability under the sampling distribution, 0 outside
    the mask. Where they were asked for, `logits` [B, T, V] are those the tokens were drawn from and
    `states` [B, T, H] the last hidden states, both 0 outside the mask.
    """

    tokens: Tensor
    mask: Tensor
    ended: Tensor
    logp: Tensor
    logits: Tensor | None = None
    states: Tensor | None = None

    def __getitem__(self, rows: Tensor) -> Responses:
        """Some responses, cut to the longest of them."""
        length = int(self.mask[rows].sum(1).max())
        return Responses(
            self.tokens[rows, :length],
            self.mask[rows, :length],
            self.ended[rows],
            self.logp[rows, :length],
            None if self.logits is None else self.logits[rows, :length],
            None if self.states is None else self.states[rows, :length],
        )

    def ids(self) -> list[list[int]]:
        """Token ids of each response, padding removed, the end token kept."""
        return [row[keep].tolist() for row, keep in zip(self.tokens, self.mask, strict=True)]


class Draw(Protocol):
    """Chooses one token a row from logits [len(rows), V], for these rows of the batch.

    Chance is made on the CPU whatever the model's device, so that a seed means one text everywhere.
    """

    def __call__(self, logits: Tensor, rows: Tensor, position: int) -> Tensor: ...


class RandomDraw:
    """Fresh chance from a seeded generator, for the rollouts of training: the inverse of the CDF.

    One uniform number a token; Gumbel noise would need one for every entry of the vocabulary.

    Made for `count` texts, of which a batch may be some, from `first` on. Each call is the next
    position of all of them and takes `count` numbers; row i reads number `first` + i, and those of
    texts that have ended, or are sampled elsewhere, go unread. So what a text is does not depend on
    which process samples it, nor on when the others end.
    """

    def __init__(self, seed: int, count: int, first: int = 0) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._count, self._first = count, first

    def __call__(self, logits: Tensor, rows: Tensor, position: int) -> Tensor:
        cdf = logits.softmax(-1).cumsum(-1)
        uniform = torch.rand(self._count, 1, generator=self._generator)
        mine = uniform[self._first + rows.cpu()].to(logits.device)
        # Scaled to where the sums end, which rounding can leave below 1: a number of at most
        # 1 - 2⁻²⁴ times that end is below it in float32, so that there always is a token.
        return torch.searchsorted(cdf, mine * cdf[:, -1:], right=True).squeeze(1)


class FixedDraw:
    """Chance that depends on (seed, prompt, sample, position) and on nothing else.

    Gumbel-max, argmax(logits + g): with the noise g held fixed, a text changes from one model to
    the next only where the models differ. Each (prompt, sample) owns a counter-based stream, so
    batching cannot change what a text is.
    """

    def __init__(
        self, seed: int, prompts: Sequence[str], samples: int, positions: int, vocabulary: int
    ) -> None:
        rows = [
            _gumbel_stream(f"{seed}/{sample}/{prompt}", positions, vocabulary)
            for prompt in prompts
            for sample in range(samples)
        ]
        self._noise = torch.from_numpy(np.stack(rows))

    def __call__(self, logits: Tensor, rows: Tensor, position: int) -> Tensor:
        return (logits + self._noise[rows.cpu(), position].to(logits.device)).argmax(-1)


def _gumbel_stream(key: str, positions: int, vocabulary: int) -> np.ndarray:
    digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
    exponential = generator.standard_exponential((positions, vocabulary), dtype=np.float32)
    return -np.log(np.maximum(exponential, np.finfo(np.float32).tiny))


@torch.no_grad()
def sample(
    model: PreTrainedModel,
    prompts: Prompts,
    draw: Draw,
    *,
    max_new_tokens: int,
    end_id: int,
    pad_id: int,
    temperature: float = 1.0,
    keep_logits: bool = False,
    keep_states: bool = False,
    interrupted: Callable[[], bool] = lambda: False,
) -> Responses:
    """Draw one response a prompt, ending at `end_id` or after `max_new_tokens`.

    At temperature 0 the most likely token is taken. Texts that ended leave the batch, so its cost
    falls as it empties. With `keep_logits` and `keep_states` these are part of what comes back:
    B × max_new_tokens × V and × H numbers. Raises Interrupted as soon as `interrupted()` is true.
    """
    device, count = model.device, len(prompts.ids)
    prompts = prompts.to(device)
    tokens = torch.full((count, max_new_tokens), pad_id, device=device)
    mask = torch.zeros(count, max_new_tokens, dtype=torch.bool, device=device)
    logp = torch.zeros(count, max_new_tokens, device=device)
    ended = torch.zeros(count, dtype=torch.bool, device=device)

    alive = torch.arange(count, device=device)
    kept: dict[str, Tensor] = {}

    def remember(name: str, outputs: Tensor) -> None:
        if name not in kept:
            kept[name] = outputs.new_zeros(count, max_new_tokens, outputs.shape[1])
        kept[name][alive, t] = outputs

    cache = DynamicCache(config=model.config)
    inputs, attention = prompts.ids, prompts.mask
    positions = (attention.cumsum(1) - 1).clamp(min=0)
    for t in range(max_new_tokens):
        if interrupted():
            raise Interrupted
        output = model(
            input_ids=inputs,
            attention_mask=attention,
            position_ids=positions,
            cache=cache,
            use_cache=True,
            logits_to_keep=1,
            output_hidden_states=keep_states,
        )
        logits = output.logits[:, -1].float()
        if temperature > 0:
            logits = logits / temperature
            drawn = draw(logits, alive, t)
        else:
            drawn = logits.argmax(-1)
        tokens[alive, t] = drawn
        mask[alive, t] = True
        logp[alive, t] = token_logprobs(logits, drawn)
        if keep_logits:
            remember("logits", logits)
        if keep_states:
            remember("states", output.hidden_states[-1][:, -1].float())

        done = drawn == end_id
        ended[alive[done]] = True
        if done.any():
            keep = (~done).nonzero().squeeze(1)
            if len(keep) == 0:
                break
            alive, drawn, attention = alive[keep], drawn[keep], attention[keep]
            positions = positions[keep]
            cache.batch_select_indices(keep)
        inputs = drawn[:, None]
        attention = torch.cat([attention, attention.new_ones(len(alive), 1)], 1)
        positions = positions[:, -1:] + 1

    length = int(mask.sum(1).max())
    parts = {name: outputs[:, :length] for name, outputs in kept.items()}
    return Responses(tokens[:, :length], mask[:, :length], ended, logp[:, :length], **parts)
