"""Forward passes over preference pairs that compute the frozen trunk once, and each prompt once.

A pair is one row: its prompt, the chosen text, the rejected text. Both texts continue the positions
of the prompt, and neither attends to the other:

    tokens     p0 p1 c0 c1 c2 r0 r1
    positions   0  1  2  3  4  2  3

TRL's batches have two rows for a pair, both with the prompt. Shapes: B pairs, S tokens of the
longest row of TRL's batch, L of the longest packed row, H the width of the hidden states.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from align_core.models.frozen_trunk import FrozenTrunk
from align_core.models.logprobs import at_mask
from align_core.models.output_layer import token_outputs

MAX_BYTES = 2**30  # of kept trunk states; those of further pairs are computed in each pass
_TOLERANCE = 1e-3  # nats


@dataclass(frozen=True)
class _Packed:
    """Pairs packed into one row each: token ids and mask [B, L].

    `columns` [2B, S] is the packed column of each token of TRL's 2B rows, first all chosen, then
    all rejected; `positions` [B, L] and `attention` [B, 1, L, L], which is added to the attention
    scores, are arguments of the model.
    """

    ids: Tensor
    mask: Tensor
    columns: Tensor
    positions: Tensor
    attention: Tensor


class PairPasses:
    """Makes the forward passes of TRL's DPOTrainer from trunk states, which it keeps.

    Called as TRL calls its model, it returns what TRL's fused output layer returns.
    """

    def __init__(self, policy: PeftModel, frozen: FrozenTrunk) -> None:
        self._policy, self._frozen = policy, frozen
        self._kept: dict[tuple, Tensor] = {}  # a pair's tokens -> its trunk states [L, H]
        self._reference: dict[tuple, tuple[float, float]] = {}
        self._bytes = 0

    def __call__(
        self, *, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, **_: Any
    ) -> SimpleNamespace:
        """`log_probs`, `entropy`, `mean_logits` and `is_top1` [2B, S − 1] of the next tokens.

        They are 0 where the label, the next token, is −100.
        """
        packed = _pack(input_ids, attention_mask, labels)
        states = self._frozen.last_states(
            self._trunk_states(packed, _keys(input_ids, attention_mask, labels)),
            attention_mask=packed.attention,
            position_ids=packed.positions,
        )
        predicted = labels[:, 1:] != -100
        pair = torch.arange(len(input_ids), device=states.device) % len(states)
        before = states[pair[:, None], packed.columns[:, :-1]][predicted]
        outputs = token_outputs(self._frozen.head, before, labels[:, 1:][predicted])
        logp, entropy, mean_logits, is_top1 = (at_mask(predicted, column) for column in outputs)
        return SimpleNamespace(
            log_probs=logp, entropy=entropy, mean_logits=mean_logits, is_top1=is_top1
        )

    @torch.no_grad()
    def reference_logps(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The reference's log-probabilities [B] of chosen and rejected texts, in nats, which are
        also kept."""
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
        batch = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
        keys = _keys(**batch, labels=labels)
        if any(key not in self._reference for key in keys):
            with self._policy.disable_adapter():
                logps = self(**batch, labels=labels).log_probs.sum(1)
            chosen, rejected = (part.tolist() for part in logps.chunk(2))
            self._reference |= dict(zip(keys, zip(chosen, rejected, strict=True), strict=True))
        logps = torch.tensor([self._reference[key] for key in keys], device=labels.device)
        return logps[:, 0], logps[:, 1]

    def _trunk_states(self, packed: _Packed, keys: list[tuple]) -> Tensor:
        """Trunk states [B, L, H], computed only for the pairs whose states are not kept yet."""
        missing = [row for row, key in enumerate(keys) if key not in self._kept]
        rows = torch.tensor(missing, dtype=torch.long, device=packed.ids.device)
        states = packed.ids.new_zeros(*packed.ids.shape, self._frozen.width, dtype=torch.float32)
        if missing:
            states[rows] = self._frozen.states(
                input_ids=packed.ids[rows],
                attention_mask=packed.attention[rows],
                position_ids=packed.positions[rows],
            )
        for row, key in enumerate(keys):
            length = int(packed.mask[row].sum())
            if key in self._kept:
                states[row, :length] = self._kept[key]
            elif self._bytes < MAX_BYTES:
                self._kept[key] = states[row, :length].clone()
                self._bytes += self._kept[key].nbytes
        return states


def pair_passes(policy: PeftModel, frozen: FrozenTrunk, longest: int) -> PairPasses | None:
    """The passes of a policy over pairs whose longest text, prompt included, has `longest` tokens.

    None for an architecture with an attention that these passes cannot express: a sliding window
    shorter than `longest`, or a bias that depends on the distance between two tokens.
    """
    window = getattr(policy.config, "sliding_window", None)
    if window is not None and window < longest:
        return None
    passes = PairPasses(policy, frozen)
    return passes if _agrees(passes, policy) else None


@torch.no_grad()
def _agrees(passes: PairPasses, policy: PeftModel) -> bool:
    """Whether the passes give the same log-probabilities as the policy, for two short pairs."""
    vocabulary = passes._frozen.head.weight.shape[0]
    ids = torch.arange(32, device=policy.device).view(4, 8) * 7919 % vocabulary
    ids[2:, :3] = ids[:2, :3]  # the prompts
    mask = torch.ones_like(ids)
    mask[1, 6:] = mask[2, 7:] = 0
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :3] = -100
    try:
        packed_logp = PairPasses(policy, passes._frozen)(
            input_ids=ids, attention_mask=mask, labels=labels
        ).log_probs
    except Exception:  # an architecture may not take such a mask
        return False
    logits = policy(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    predicted = labels[:, 1:] != -100
    logp = logits.log_softmax(-1).gather(2, labels[:, 1:, None].clamp(min=0)).squeeze(2)
    return bool(((packed_logp - logp)[predicted].abs() < _TOLERANCE).all())


def _pack(input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> _Packed:
    device = input_ids.device
    lengths = attention_mask.sum(1)
    prompt = ((labels == -100) & attention_mask.bool()).sum(1)
    chosen, rejected = (lengths - prompt).chunk(2)
    pairs, width = len(chosen), int((prompt[: len(chosen)] + chosen + rejected).max())

    # The rejected text comes after the chosen one.
    shift = torch.cat([torch.zeros_like(chosen), chosen])[:, None]
    column = torch.arange(input_ids.shape[1], device=device)
    packed_columns = (column + shift * (column >= prompt[:, None])).clamp(max=width - 1)

    ids = torch.zeros(pairs, width, dtype=torch.long, device=device)
    positions, part = torch.zeros_like(ids), torch.zeros_like(ids)
    real = attention_mask.bool()
    pair = (torch.arange(2 * pairs, device=device) % pairs)[:, None].expand_as(packed_columns)[real]
    ids[pair, packed_columns[real]] = input_ids[real]
    positions[pair, packed_columns[real]] = column.expand_as(packed_columns)[real]
    # 1 is the prompt, 2 the chosen text, 3 the rejected one, 0 padding.
    side = torch.arange(2 * pairs, device=device)[:, None] // pairs
    part[pair, packed_columns[real]] = torch.where(column < prompt[:, None], 1, 2 + side)[real]

    key, query = part[:, None, :], part[:, :, None]
    earlier = torch.ones(width, width, dtype=torch.bool, device=device).tril()
    seen = earlier & (key > 0) & ((key == 1) | (key == query))
    seen |= torch.eye(width, dtype=torch.bool, device=device)  # padding attends to itself
    attention = torch.zeros(seen.shape, device=device)
    attention = attention.masked_fill(~seen, torch.finfo(torch.float32).min)[:, None]
    return _Packed(ids, part > 0, packed_columns, positions, attention)


def _keys(input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> list[tuple]:
    """For each pair, its two rows of tokens and the length of its prompt."""
    rows = [
        tuple(row[mask].tolist())
        for row, mask in zip(input_ids, attention_mask.bool(), strict=True)
    ]
    prompts = ((labels == -100) & attention_mask.bool()).sum(1).tolist()
    pairs = len(rows) // 2
    return list(zip(rows[:pairs], rows[pairs:], prompts[:pairs], strict=True))
