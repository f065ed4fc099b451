"""Reading given texts: the log-probabilities of their tokens, and what they are made of.

Shapes: B texts, P prompt tokens (padded on the left), T response tokens (padded on the right),
V vocabulary entries, H the width of the hidden states.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from align_core.data.encoding import Prompts, pad_responses
from align_core.objectives import token_logprobs

CHUNK = 16  # texts that are read together on a CPU


def logprobs(
    model: PreTrainedModel,
    prompts: Prompts,
    completions: Sequence[Sequence[int]],
    temperature: float = 1.0,
) -> list[Tensor]:
    """Log-probability of each token of one completion a prompt: its length of numbers, in nats.

    Where gradients are recorded, they reach the model.
    """
    tokens, mask = (part.to(model.device) for part in pad_responses(completions, pad=0))
    prompts = prompts.to(model.device)
    logp = torch.zeros(mask.shape, device=model.device)
    for rows in by_length(prompts, mask):
        width = int(mask[rows].sum(1).max())
        part = tokens[rows, :width], mask[rows, :width]
        logits, _ = response_outputs(model, prompts[rows], *part)
        logp[rows, :width] = token_logprobs(logits / temperature, part[0])
    return [row[real] for row, real in zip(logp, mask, strict=True)]


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
