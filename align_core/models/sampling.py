"""Sampling with reproducible noise.

Shapes: B texts, P prompt tokens (padded on the left), T response tokens (padded on the right),
V vocabulary entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.messages import plain
from align_core.data.chat import turn_end
from align_core.data.encoding import Prompts, decode
from align_core.models.frozen_trunk import FrozenTrunk, trunk_of_samples
from align_core.models.loading import ModelError, name_of
from align_core.models.prefill import SharedPrompts
from align_core.models.realigned import Realigned
from align_core.objectives import token_logprobs

_STORED_NOISE = 2**26  # numbers, 256 MB; a larger amount is drawn again at every use


class Interrupted(Exception):
    """Sampling was interrupted before it was done."""


@dataclass(frozen=True)
class Responses:
    """Sampled responses: tokens [B, T] with their mask and log-probabilities.

    `mask` is true at response tokens, the end token included; `ended` [B] is true for texts that
    ended by themselves; `logp` [B, T] is the log-probability under the sampling distribution, in
    nats, 0 outside the mask. `logits` [B, T, V], from which the tokens were drawn, and `states`
    [B, T, H], the last hidden states, are 0 outside the mask; `trunk_states` [B, P + T, H] are the
    trunk states of prompts and responses. These three are None unless requested.
    """

    tokens: Tensor
    mask: Tensor
    ended: Tensor
    logp: Tensor
    logits: Tensor | None = None
    states: Tensor | None = None
    trunk_states: Tensor | None = None

    def __getitem__(self, rows: Tensor) -> Responses:
        """The responses of these rows, cut to the longest of them."""
        length = int(self.mask[rows].sum(1).max())
        trunk = self.trunk_states
        end = 0 if trunk is None else trunk.shape[1] - self.tokens.shape[1] + length
        return Responses(
            self.tokens[rows, :length],
            self.mask[rows, :length],
            self.ended[rows],
            self.logp[rows, :length],
            None if self.logits is None else self.logits[rows, :length],
            None if self.states is None else self.states[rows, :length],
            None if trunk is None else trunk[rows, :end],
        )

    def ids(self) -> list[list[int]]:
        """Token ids of each response, without padding, with the end token."""
        return [row[keep].tolist() for row, keep in zip(self.tokens, self.mask, strict=True)]

    def logps(self) -> list[list[float]]:
        """The log-probabilities of each response's tokens."""
        return [row[keep].tolist() for row, keep in zip(self.logp, self.mask, strict=True)]

    def texts(self, tokenizer: PreTrainedTokenizerBase, prompts: Prompts) -> list[str]:
        """The text of each response to these `prompts`, without its end token."""
        pairs = zip(self.ids(), self.ended.tolist(), strict=True)
        without_end = [row[:-1] if ended else row for row, ended in pairs]
        return decode(tokenizer, prompts.ids.tolist(), without_end)


def end_ids(policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids of the tokens that end a text of this policy.

    These are the end tokens of its generation config, the token that ends a turn in its chat
    template, and the tokenizer's end token.

    Raises:
        ModelError: there is none, or the generation config names one by its text.
    """
    settings = getattr(policy, "generation_config", None) or policy.config
    configured = settings.eos_token_id
    ids = [*configured] if isinstance(configured, list | tuple) else [configured]
    if wrong := [token for token in ids if not isinstance(token, int | None)]:
        line = f"expected numbers of tokens as eos_token_id, got {wrong[0]!r}"
        raise ModelError(plain(f"model {name_of(policy)}: {line}"))
    ids += [turn_end(tokenizer), tokenizer.eos_token_id]
    if ends := sorted({token for token in ids if token is not None}):
        return ends
    line = f"model {name_of(policy)}: expected a token that ends its texts, got none"
    raise ModelError(plain(line))


class Draw(Protocol):
    """Draws a token for each of the `rows` of the batch, from logits [len(rows), V].

    Random numbers always come from the CPU, so that a seed gives the same text on every device.
    """

    def __call__(self, logits: Tensor, rows: Tensor, position: int) -> Tensor: ...


class RandomDraw:
    """Samples by inverting the CDF with uniform numbers of a seeded generator, for rollouts.

    It needs one number for a token; Gumbel noise needs one for every entry of the vocabulary.

    The noise is for `count` texts; this batch holds the texts from number `first` on. Each call,
    for one position, draws `count` numbers, of which row i uses number `first` + i. The numbers of
    texts that have ended, or that another process samples, are discarded. So a text depends neither
    on the process that samples it nor on when other texts end.
    """

    def __init__(self, seed: int, count: int, first: int = 0) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._count, self._first = count, first

    def __call__(self, logits: Tensor, rows: Tensor, position: int) -> Tensor:
        cdf = logits.softmax(-1).cumsum(-1)
        uniform = torch.rand(self._count, 1, generator=self._generator)
        noise = uniform[self._first + rows.cpu()].to(logits.device)
        # Scaled to the last sum, which rounding can leave below 1: a uniform number is at most
        # 1 - 2⁻²⁴, so the product is below the last sum in float32, and a token is always found.
        return torch.searchsorted(cdf, noise * cdf[:, -1:], right=True).squeeze(1)


class FixedDraw:
    """Samples with noise that is a function of (seed, prompt, sample, position) alone.

    Gumbel-max, argmax(logits + g): as the noise g is fixed, a text changes from one model to the
    next only because the models differ. Each (prompt, sample) has its own counter-based stream, so
    that batching cannot change a text.
    """

    def __init__(
        self, seed: int, prompts: Sequence[str], samples: int, positions: int, vocabulary: int
    ) -> None:
        self._keys = [
            f"{seed}/{sample}/{prompt}" for prompt in prompts for sample in range(samples)
        ]
        self._vocabulary = vocabulary
        self._streams: list[np.random.Generator] = []
        self._noise: Tensor | None = None
        if len(self._keys) * positions * vocabulary <= _STORED_NOISE:
            streams = map(_stream, self._keys)
            rows = [_gumbel(stream, positions, vocabulary) for stream in streams]
            self._noise = torch.from_numpy(np.stack(rows))

    def __call__(self, logits: Tensor, rows: Tensor, position: int) -> Tensor:
        return (logits + self._at(rows.tolist(), position).to(logits.device)).argmax(-1)

    def _at(self, rows: list[int], position: int) -> Tensor:
        """The noise [len(rows), V] of these rows. Positions must come in order, from 0."""
        if self._noise is not None:
            return self._noise[rows, position]
        if position == 0:
            self._streams = list(map(_stream, self._keys))
        noise = [_gumbel(self._streams[row], 1, self._vocabulary) for row in rows]
        return torch.from_numpy(np.concatenate(noise))


def _stream(key: str) -> np.random.Generator:
    digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def _gumbel(stream: np.random.Generator, positions: int, vocabulary: int) -> np.ndarray:
    exponential = stream.standard_exponential((positions, vocabulary), dtype=np.float32)
    return -np.log(np.maximum(exponential, np.finfo(np.float32).tiny))


class _Sampled:
    """The responses while they grow, [B, T], and the model's outputs at their tokens."""

    def __init__(self, count: int, length: int, pad_id: int, device: torch.device) -> None:
        self.tokens = torch.full((count, length), pad_id, device=device)
        self.ended = torch.zeros(count, dtype=torch.bool, device=device)
        self._mask = torch.zeros(count, length, dtype=torch.bool, device=device)
        self._logp = torch.zeros(count, length, device=device)
        self._kept: dict[str, Tensor] = {}

    def append(self, rows: Tensor, position: int, tokens: Tensor, logits: Tensor) -> None:
        """Append a token, drawn from `logits` [len(rows), V], to each of the `rows`."""
        self.tokens[rows, position] = tokens
        self._mask[rows, position] = True
        self._logp[rows, position] = token_logprobs(logits, tokens)

    def keep(self, name: str, rows: Tensor, position: int, outputs: Tensor) -> None:
        """Keep the model's outputs [len(rows), N] at this position."""
        if name not in self._kept:
            size = (*self.tokens.shape, outputs.shape[1])
            self._kept[name] = outputs.new_zeros(size)
        self._kept[name][rows, position] = outputs

    def responses(self, trunk_states: list[Tensor] | None) -> Responses:
        """The responses, cut to the longest; `trunk_states` are those of all forward passes."""
        length = int(self._mask.sum(1).max())
        mask = self._mask[:, :length]
        parts = {name: outputs[:, :length] for name, outputs in self._kept.items()}
        if trunk_states is not None:
            parts["trunk_states"] = trunk_of_samples(trunk_states, mask)
        return Responses(self.tokens[:, :length], mask, self.ended, self._logp[:, :length], **parts)


def _forward(
    model: PreTrainedModel | Realigned,
    cache: DynamicCache,
    keep_states: bool,
    interrupted: Callable[[], bool],
    ids: Tensor,
    attention: Tensor,
    positions: Tensor,
) -> tuple[Tensor, Tensor | None]:
    """Logits [B, V], and last hidden states [B, H] if they are kept, at the last token."""
    if interrupted():
        raise Interrupted
    output = model(
        input_ids=ids,
        attention_mask=attention,
        position_ids=positions,
        cache=cache,
        use_cache=True,
        logits_to_keep=1,
        output_hidden_states=keep_states,
    )
    states = output.hidden_states[-1][:, -1].float() if keep_states else None
    return output.logits[:, -1].float(), states


@torch.no_grad()
def sample(
    model: PreTrainedModel | Realigned,
    prompts: Prompts,
    draw: Draw,
    *,
    max_new_tokens: int,
    end_ids: Collection[int],
    pad_id: int,
    temperature: float = 1.0,
    keep_logits: bool = False,
    keep_states: bool = False,
    frozen: FrozenTrunk | None = None,
    stops: Callable[[Tensor], Tensor] | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Responses:
    """Sample one response for each prompt, ending at one of `end_ids` or after `max_new_tokens`.

    `stops` gets the tokens [B, t] so far, and returns which responses end without an end token. At
    temperature 0 the most likely token is taken. Texts that have ended leave the batch, which
    makes its later tokens cheaper. `keep_logits` adds the logits to the result (B × max_new_tokens
    × V numbers), and `keep_states` the last hidden states (B × max_new_tokens × H numbers);
    `frozen`, the model's frozen trunk, adds its trunk states.

    Raises:
        Interrupted: `interrupted()` became true, which is checked before every token.
    """
    device, count = model.device, len(prompts.ids)
    ends = torch.tensor([*end_ids], device=device)
    prompts = prompts.to(device)
    # A padding token may have no embedding.
    prompts = Prompts(prompts.ids.masked_fill(prompts.mask == 0, 0), prompts.mask)
    is_pair = isinstance(model, Realigned)
    cache = model.new_cache() if is_pair else DynamicCache(config=model.config)
    forward = partial(_forward, model, cache, keep_states, interrupted)

    sampled = _Sampled(count, max_new_tokens, pad_id, device)
    alive = torch.arange(count, device=device)  # rows of texts that have not ended
    attention = prompts.mask
    positions = (attention.sum(1, keepdim=True) - 1).clamp(min=0)  # of the last token
    no_recording: AbstractContextManager[list[Tensor]] = nullcontext([])
    with frozen.recording() if frozen else no_recording as recorded:
        shared = SharedPrompts.of(prompts, cache)
        logits, states = shared.prefill(forward, cache)
        if frozen:
            recorded[:] = [shared.joined(recorded)]
        for t in range(max_new_tokens):
            if temperature > 0:
                logits = logits / temperature
                drawn = draw(logits, alive, t)
            else:
                drawn = logits.argmax(-1)
            sampled.append(alive, t, drawn, logits)
            if keep_logits:
                sampled.keep("logits", alive, t, logits)
            if states is not None:
                sampled.keep("states", alive, t, states)

            done = torch.isin(drawn, ends)
            if stops is not None:
                done = done | stops(sampled.tokens[alive, : t + 1])
            sampled.ended[alive[done]] = True
            if done.any():
                keep = (~done).nonzero().squeeze(1)
                if len(keep) == 0:
                    break
                alive, drawn, attention = alive[keep], drawn[keep], attention[keep]
                positions = positions[keep]
                cache.reorder_cache(keep)  # unlike batch_select_indices, also for linear attention
            if t + 1 < max_new_tokens:
                attention = torch.cat([attention, attention.new_ones(len(alive), 1)], 1)
                positions = positions + 1
                logits, states = forward(drawn[:, None], attention, positions)
    return sampled.responses(recorded if frozen else None)
