"""Texts to token ids, in TRL's formats: text or conversational, prompts on the left of responses.

A text that did not end did not end: the end token is added only where it belongs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedTokenizerBase

Message = dict[str, str]
Text = str | list[Message]


@dataclass(frozen=True)
class Prompts:
    """Prompts as token ids [B, P], padded on the left; the mask is 1 at real tokens."""

    ids: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> Prompts:
        return Prompts(self.ids.to(device), self.mask.to(device))

    def repeat(self, times: int) -> Prompts:
        """Each prompt `times` times in a row."""
        return Prompts(self.ids.repeat_interleave(times, 0), self.mask.repeat_interleave(times, 0))

    def __getitem__(self, rows: slice | Tensor) -> Prompts:
        return Prompts(self.ids[rows], self.mask[rows])


def encode_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Text]) -> Prompts:
    """Token ids of the prompts, padded on the left; a chat template is applied where it belongs."""
    rows = [_ids(tokenizer, _prompt_text(tokenizer, prompt)) for prompt in prompts]
    width = max(len(row) for row in rows)
    pad = tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return Prompts(ids, mask)


def pad_responses(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Tokens [B, T] padded on the right and their boolean mask."""
    width = max(len(row) for row in rows)
    tokens = torch.tensor([list(row) + [pad] * (width - len(row)) for row in rows])
    mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])
    return tokens, mask


def encode(
    tokenizer: PreTrainedTokenizerBase, prompt: Text, completion: Text, ended: bool = True
) -> tuple[list[int], list[int]]:
    """Token ids of a prompt and of its completion, the end token included where it ended."""
    before = _prompt_text(tokenizer, prompt)
    if isinstance(completion, str):
        after = completion
    else:
        whole = tokenizer.apply_chat_template(prompt + completion, tokenize=False)
        after = whole.removeprefix(before)
    ids = _ids(tokenizer, after)
    if ended and ids[-1:] != [tokenizer.eos_token_id]:
        ids.append(tokenizer.eos_token_id)
    return _ids(tokenizer, before), ids


def encode_demonstrations(
    tokenizer: PreTrainedTokenizerBase, demonstrations: Iterable[dict]
) -> Dataset:
    """Columns input_ids and labels; only the completion is learnt (label −100 elsewhere)."""
    rows = []
    for one in demonstrations:
        prompt, completion = encode(tokenizer, one["prompt"], one["completion"])
        labels = [-100] * len(prompt) + completion
        rows.append({"input_ids": prompt + completion, "labels": labels})
    return Dataset.from_list(rows)


def encode_pairs(tokenizer: PreTrainedTokenizerBase, pairs: Iterable[dict]) -> Dataset:
    """Columns prompt_ids, chosen_ids and rejected_ids, without the prompt in the latter two.

    Each pair has prompt, chosen and rejected; chosen_ended and rejected_ended where it is known
    that a text was cut.
    """
    rows = []
    for pair in pairs:
        prompt, chosen = encode(
            tokenizer, pair["prompt"], pair["chosen"], pair.get("chosen_ended", True)
        )
        _, rejected = encode(
            tokenizer, pair["prompt"], pair["rejected"], pair.get("rejected_ended", True)
        )
        rows.append({"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected})
    return Dataset.from_list(rows)


def _prompt_text(tokenizer: PreTrainedTokenizerBase, prompt: Text) -> str:
    if isinstance(prompt, str):
        return prompt
    return tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]
