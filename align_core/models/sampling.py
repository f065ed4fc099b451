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

from align_core.data.encoding import Prompts

CHUNK = 16  # texts that are read together on a CPU


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
        logp[alive, t] = logits.log_softmax(-1).gather(1, drawn[:, None]).squeeze(1)
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


def by_length(prompts: Prompts, mask: Tensor) -> Iterator[Tensor]:
    """Rows of prompts and of a mask [B, T] of their responses in chunks, short texts together:
    little is padding. A GPU, which waits for work rather than for numbers, gets all at once."""
    lengths = prompts.mask.sum(1).to(mask.device) + mask.sum(1)
    yield from lengths.argsort(stable=True).split(CHUNK if mask.device.type == "cpu" else len(mask))


def response_outputs(
    model: PreTrainedModel, prompts: Prompts, tokens: Tensor, mask: Tensor, *, hidden: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Logits [B, T, V] in float32 that predict each response token, by one full forward pass.

    With `hidden`, also the last hidden states [B, T, H] at the same positions. Only the last T + 1
    positions reach the output layer. What stands at padding means nothing.
    """
    inputs, kept, before = _aligned(prompts, tokens, mask)
    output = model(**inputs, logits_to_keep=kept, output_hidden_states=hidden)
    logits = _taken(output.logits, before).float()
    states = _taken(output.hidden_states[-1][:, -kept:], before).float() if hidden else None
    return logits, states


def response_states(
    trunk: PreTrainedModel, prompts: Prompts, tokens: Tensor, mask: Tensor
) -> Tensor:
    """Last hidden states [B, T, H] of a model without output layer, before each response token."""
    inputs, kept, before = _aligned(prompts, tokens, mask)
    return _taken(trunk(**inputs).last_hidden_state[:, -kept:], before)


def final_states(trunk: PreTrainedModel, prompts: Prompts, tokens: Tensor, mask: Tensor) -> Tensor:
    """Last hidden states [B, H] of a model without output layer, at the last token of each text."""
    inputs, *_ = _aligned(prompts, tokens, mask)
    return trunk(**inputs).last_hidden_state[:, -1]


def _aligned(prompts: Prompts, tokens: Tensor, mask: Tensor) -> tuple[dict, int, Tensor]:
    """Whole texts [B, L] without a gap and with all padding on their left: little is padding.

    p is prompt, r response, · padding. Each row turns right by what its response lacks (`missing`);
    columns that are padding in every row go. The last T + 1 hold each r and what stands before it:

        prompts  tokens        whole texts     last T + 1     `before`, where there is an r
        · p p    r r r         p p r r r        p r r r        0 1 2
        p p p    r · ·    ->   · p p p r        p p p r        2
        · · p    r r ·         · · p r r        · p r r        1 2

    Gives a model's arguments; how many of the last positions hold all responses and what predicts
    them; and where among these the predictor of each response token stands, [B, T].
    """
    prompts = prompts.to(tokens.device)
    attention = torch.cat([prompts.mask, mask.long()], 1)
    width, length = attention.shape[1], tokens.shape[1]
    longest = int(attention.sum(1).max())
    missing = (~mask).sum(1, keepdim=True)
    place = torch.arange(width, device=tokens.device)
    turned = (place[width - longest :] - missing) % width
    attention = attention.gather(1, turned)
    inputs = {
        "input_ids": torch.cat([prompts.ids, tokens], 1).gather(1, turned),
        "attention_mask": attention,
        "position_ids": (attention.cumsum(1) - 1).clamp(min=0),
        "use_cache": False,
    }
    kept = min(length + 1, longest)
    before = place[:length] + missing - (length + 1 - kept)
    return inputs, kept, before.clamp(0, kept - 1)


def _taken(outputs: Tensor, positions: Tensor) -> Tensor:
    """Outputs [B, N, …] at positions [B, T]: [B, T, …].

    Taken as whole rows of [B·N, …], which is fast forwards and backwards; a gather would need an
    index for every single number.
    """
    first = torch.arange(len(outputs), device=outputs.device)[:, None] * outputs.shape[1]
    rows = outputs.flatten(0, 1).index_select(0, (first + positions).flatten())
    return rows.view(*positions.shape, -1)
