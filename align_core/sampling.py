"""Sampling with chance that is known, and the log-probabilities that belong to the samples.

Shapes: B texts, P prompt tokens (padded on the left), T response tokens (padded on the right),
V vocabulary entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from align_core.encoding import Prompts


class Interrupted(Exception):
    """Sampling was told to stop before it was done."""


@dataclass(frozen=True)
class Responses:
    """Sampled responses: tokens [B, T], their mask, and what was known when they were drawn.

    `mask` is true at response tokens, the end token included; `ended` [B] says which texts ended
    by themselves; `logp` [B, T] is the log-probability under the sampling distribution, 0 outside
    the mask.
    """

    tokens: Tensor
    mask: Tensor
    ended: Tensor
    logp: Tensor

    def __getitem__(self, rows: Tensor) -> Responses:
        """Some responses, cut to the longest of them."""
        length = int(self.mask[rows].sum(1).max())
        return Responses(
            self.tokens[rows, :length],
            self.mask[rows, :length],
            self.ended[rows],
            self.logp[rows, :length],
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

    Made for `count` texts, of which a batch may be some, from `first` on: what a text is does not
    depend on which process samples it, nor on when the others end.
    """

    def __init__(self, seed: int, count: int, first: int = 0) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._count, self._first = count, first

    def __call__(self, logits: Tensor, rows: Tensor, position: int) -> Tensor:
        cdf = logits.softmax(-1).cumsum(-1)
        uniform = torch.rand(self._count, 1, generator=self._generator)
        mine = uniform[self._first + rows.cpu()].to(logits.device)
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
    interrupted: Callable[[], bool] = lambda: False,
) -> Responses:
    """Draw one response a prompt, ending at `end_id` or after `max_new_tokens`.

    At temperature 0 the most likely token is taken. Texts that ended leave the batch, so its cost
    falls as it empties. Raises Interrupted as soon as `interrupted()` is true.
    """
    device, count = model.device, len(prompts.ids)
    prompts = prompts.to(device)
    tokens = torch.full((count, max_new_tokens), pad_id, device=device)
    mask = torch.zeros(count, max_new_tokens, dtype=torch.bool, device=device)
    logp = torch.zeros(count, max_new_tokens, device=device)
    ended = torch.zeros(count, dtype=torch.bool, device=device)

    alive = torch.arange(count, device=device)
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
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits = output.logits[:, -1].float()
        if temperature > 0:
            logits = logits / temperature
            drawn = draw(logits, alive, t)
        else:
            drawn = logits.argmax(-1)
        tokens[alive, t] = drawn
        mask[alive, t] = True
        logp[alive, t] = logits.log_softmax(-1).gather(1, drawn[:, None]).squeeze(1)

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
    return Responses(tokens[:, :length], mask[:, :length], ended, logp[:, :length])


def by_length(mask: Tensor, size: int = 32) -> Iterator[Tensor]:
    """Rows of a mask [B, T] in chunks of `size`, short texts together: little is padding."""
    yield from mask.sum(1).argsort(stable=True).split(size)


def response_outputs(
    model: PreTrainedModel, prompts: Prompts, tokens: Tensor, mask: Tensor, *, hidden: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Logits [B, T, V] in float32 that predict each response token, by one full forward pass.

    With `hidden`, also the last hidden states [B, T, H] at the same positions. Only the response's
    positions reach the output layer.
    """
    output = model(
        **_inputs(prompts, tokens, mask),
        logits_to_keep=tokens.shape[1] + 1,
        output_hidden_states=hidden,
    )
    states = output.hidden_states[-1][:, -tokens.shape[1] - 1 : -1].float() if hidden else None
    return output.logits[:, :-1].float(), states


def response_states(
    trunk: PreTrainedModel, prompts: Prompts, tokens: Tensor, mask: Tensor
) -> Tensor:
    """Last hidden states [B, T, H] of a model without output layer, before each response token."""
    output = trunk(**_inputs(prompts, tokens, mask))
    return output.last_hidden_state[:, -tokens.shape[1] - 1 : -1]


def _inputs(prompts: Prompts, tokens: Tensor, mask: Tensor) -> dict:
    prompts = prompts.to(tokens.device)
    attention = torch.cat([prompts.mask, mask.long()], 1)
    return {
        "input_ids": torch.cat([prompts.ids, tokens], 1),
        "attention_mask": attention,
        "position_ids": (attention.cumsum(1) - 1).clamp(min=0),
        "use_cache": False,
    }
