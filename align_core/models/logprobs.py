"""Forward passes over given texts: log-probabilities, logits and hidden states of their tokens.

Shapes: B texts, P prompt tokens (padded on the left), T response tokens (padded on the right),
V vocabulary entries, H the width of the hidden states.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from align_core.data.encoding import Prompts, pad_responses
from align_core.models.frozen_trunk import FrozenTrunk
from align_core.models.prefill import common_start
from align_core.objectives import token_logprobs

CHUNK = 16  # texts in a batch on a CPU


def logprobs(
    model: PreTrainedModel,
    prompts: Prompts,
    completions: Sequence[Sequence[int]],
    temperature: float = 1.0,
) -> list[Tensor]:
    """Log-probabilities in nats of the tokens of one completion for each prompt.

    Returns a tensor [T_i] for each completion. Gradients flow to the model.
    """
    tokens, mask = (part.to(model.device) for part in pad_responses(completions, pad=0))
    prompts = prompts.to(model.device)
    logp = torch.zeros(mask.shape, device=model.device)
    for rows in length_batches(prompts, mask):
        width = int(mask[rows].sum(1).max())
        part = tokens[rows, :width], mask[rows, :width]
        logits, _ = response_outputs(model, prompts[rows], *part)
        logp[rows, :width] = token_logprobs(logits / temperature, part[0])
    return [row[real] for row, real in zip(logp, mask, strict=True)]


def length_batches(prompts: Prompts, mask: Tensor) -> Iterator[Tensor]:
    """Yields row numbers in batches of texts of similar length, so that there is little padding.

    `mask` [B, T] is the mask of the responses. On a GPU, where launching kernels costs more than
    padding, all rows are one batch.
    """
    lengths = prompts.mask.sum(1).to(mask.device) + mask.sum(1)
    yield from lengths.argsort(stable=True).split(CHUNK if mask.device.type == "cpu" else len(mask))


def response_outputs(
    model: PreTrainedModel, prompts: Prompts, tokens: Tensor, mask: Tensor, *, hidden: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Logits [B, T, V] in float32 that predict each response token, from one forward pass.

    With `hidden`, also the last hidden states [B, T, H] at the same positions. The output layer is
    applied to the last T + 1 positions only. Values at padding are undefined.
    """
    inputs, kept, before, _ = _aligned(prompts, tokens, mask)
    output = model(**inputs, logits_to_keep=kept, output_hidden_states=hidden)
    # A model may ignore logits_to_keep, and return the logits at all positions.
    logits = _at_positions(output.logits[:, -kept:], before).float()
    states = _at_positions(output.hidden_states[-1][:, -kept:], before).float() if hidden else None
    return logits, states


def response_states(
    trunk: PreTrainedModel, prompts: Prompts, tokens: Tensor, mask: Tensor
) -> Tensor:
    """Last hidden states [B, T, H] that predict each response token, of a model without a head."""
    inputs, kept, before, _ = _aligned(prompts, tokens, mask)
    return _at_positions(_last_states(trunk, inputs)[:, -kept:], before)


def upper_states(
    frozen: FrozenTrunk, trunk_states: Tensor, prompts: Prompts, tokens: Tensor, mask: Tensor
) -> Tensor:
    """The `response_states` of a policy, computed from the trunk states [B, P' + T, H] of its texts
    with P' ≥ P.

    The tokens with which all prompts begin are computed once.
    """
    inputs, kept, before, columns = _aligned(prompts, tokens, mask)
    width = prompts.ids.shape[1] + tokens.shape[1]
    aligned = _at_positions(trunk_states[:, -width:], columns)
    states = frozen.last_states_after(
        min(common_start(prompts), aligned.shape[1] - kept),
        aligned,
        inputs["attention_mask"],
        inputs["position_ids"],
    )
    return _at_positions(states[:, -kept:], before)


def text_states(trunk: nn.Module, prompts: Prompts, tokens: Tensor, mask: Tensor) -> Tensor:
    """Last hidden states [B, L, H] of whole texts, of a model without a head.

    All padding is on the left, so that the last token of every text is in the last column.
    """
    inputs, *_ = _aligned(prompts, tokens, mask)
    return _last_states(trunk, inputs)


def _last_states(trunk: nn.Module, inputs: dict) -> Tensor:
    """Last hidden states [B, L, H]. Modules of a custom class, and models with a head, such as a
    whole policy, are called as TRL's PPO calls its models."""
    if isinstance(trunk, PreTrainedModel) and trunk.base_model is trunk:
        # A policy may have more embeddings than this model. No tokens belong to these further
        # embeddings, and only an untrained policy samples their ids.
        ids, rows = inputs["input_ids"], trunk.get_input_embeddings().num_embeddings
        return trunk(**inputs | {"input_ids": ids.masked_fill(ids >= rows, 0)}).last_hidden_state
    output = trunk(**inputs, output_hidden_states=True, return_dict=True)
    states = getattr(output, "hidden_states", None)
    return output.last_hidden_state if states is None else states[-1]


def at_mask(mask: Tensor, values: Tensor) -> Tensor:
    """Values [N] at the N true entries of a mask [B, T], and zeros elsewhere: [B, T]."""
    return values.new_zeros(mask.shape).masked_scatter(mask, values)


def _aligned(prompts: Prompts, tokens: Tensor, mask: Tensor) -> tuple[dict, int, Tensor, Tensor]:
    """Joins prompts and responses into texts [B, L], with little padding and all of it on the left.

    p is prompt, r response, · padding. Each row is rotated right by the padding of its response
    (`missing`); columns that are padding in every row are dropped. The last T + 1 columns contain
    every r and the token before it:

        prompts  tokens        texts           last T + 1     `before`, for each r
        · p p    r r r         p p r r r        p r r r        0 1 2
        p p p    r · ·    ->   · p p p r        p p p r        2
        · · p    r r ·         · · p r r        · p r r        1 2

    Returns the model's arguments; `kept`, the number of those last columns; `before` [B, T], the
    index among them of the token that predicts each response token; and [B, L], the column of
    (prompts, tokens) from which each column of the texts was taken.
    """
    prompts = prompts.to(tokens.device)
    attention = torch.cat([prompts.mask, mask.long()], 1)
    width, length = attention.shape[1], tokens.shape[1]
    longest = int(attention.sum(1).max())
    missing = (~mask).sum(1, keepdim=True)
    columns = torch.arange(width, device=tokens.device)
    rotation = (columns[width - longest :] - missing) % width
    attention = attention.gather(1, rotation)
    ids = torch.cat([prompts.ids, tokens], 1).gather(1, rotation)
    inputs = {
        "input_ids": ids.masked_fill(attention == 0, 0),  # a padding token may have no embedding
        "attention_mask": attention,
        "position_ids": (attention.cumsum(1) - 1).clamp(min=0),
        "use_cache": False,
    }
    kept = min(length + 1, longest)
    before = columns[:length] + missing - (length + 1 - kept)
    return inputs, kept, before.clamp(0, kept - 1), rotation


def _at_positions(outputs: Tensor, positions: Tensor) -> Tensor:
    """Outputs [B, N, H] at positions [B, T]: [B, T, H].

    Selects rows of [B·N, H], which is fast forwards and backwards; `gather` would need an index for
    every number.
    """
    first = torch.arange(len(outputs), device=outputs.device)[:, None] * outputs.shape[1]
    rows = outputs.flatten(0, 1).index_select(0, (first + positions).flatten())
    return rows.view(*positions.shape, -1)
