"""Encoding of texts or conversations, in TRL's formats, as token ids.

The end token is appended only to texts that ended by themselves, not to those cut at the limit.
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
Prompt = Text | list[int]  # token ids need no encoding

REFERENCE_LOGPS = "ref_chosen_logps", "ref_rejected_logps"  # TRL's names of these columns


@dataclass(frozen=True)
class Prompts:
    """Prompts as token ids [B, P], padded on the left; the mask is 1 at real tokens."""

    ids: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> Prompts:
        return Prompts(self.ids.to(device), self.mask.to(device))

    def repeat(self, times: int) -> Prompts:
        """Each prompt repeated `times` times in succession."""
        return Prompts(self.ids.repeat_interleave(times, 0), self.mask.repeat_interleave(times, 0))

    def __getitem__(self, rows: slice | Tensor) -> Prompts:
        """The prompts of these rows, cut to the longest of them."""
        ids, mask = self.ids[rows], self.mask[rows]
        start = ids.shape[1] - int(mask.sum(1).max())
        return Prompts(ids[:, start:], mask[:, start:])


def encode_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt]) -> Prompts:
    """Token ids of the prompts, padded on the left. Conversations go through the chat template."""
    if is_token_ids(prompts[0]):
        rows = prompts
    else:
        rows = _ids(tokenizer, [_prompt_text(tokenizer, prompt) for prompt in prompts])
    width = max(len(row) for row in rows)
    pad = tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return Prompts(ids, mask)


def is_token_ids(prompt: Prompt) -> bool:
    return not isinstance(prompt, str) and isinstance(prompt[0], int)


def pad_responses(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Tokens [B, T], padded on the right, and their boolean mask."""
    width = max(len(row) for row in rows)
    tokens = torch.tensor([list(row) + [pad] * (width - len(row)) for row in rows])
    mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])
    return tokens, mask


def encode(
    tokenizer: PreTrainedTokenizerBase, prompt: Text, completion: Text, ended: bool = True
) -> tuple[list[int], list[int]]:
    """Token ids of a prompt and of its completion, with the end token if it ended."""
    texts = _prompt_text(tokenizer, prompt), _completion_text(tokenizer, prompt, completion)
    before, after = _ids(tokenizer, texts)
    return before, _with_end(tokenizer, after, ended)


def encode_demonstrations(
    tokenizer: PreTrainedTokenizerBase, demonstrations: Iterable[dict]
) -> Dataset:
    """A data set with input_ids and labels, which are −100 for the prompt's tokens."""
    prompts, completions = _columns(tokenizer, list(demonstrations), "completion")
    return Dataset.from_list(
        [
            {"input_ids": before + after, "labels": [-100] * len(before) + after}
            for before, after in zip(prompts, completions, strict=True)
        ]
    )


def encode_pairs(tokenizer: PreTrainedTokenizerBase, pairs: Iterable[dict]) -> Dataset:
    """A data set with prompt_ids, chosen_ids and rejected_ids, the latter two without the prompt.

    A pair has prompt, chosen and rejected, and may have chosen_ended and rejected_ended, True by
    default. REFERENCE_LOGPS are copied to the data set if all pairs have them.
    """
    rows = list(pairs)
    names = "prompt_ids", "chosen_ids", "rejected_ids"
    columns = dict(zip(names, _columns(tokenizer, rows, "chosen", "rejected"), strict=True))
    for name in REFERENCE_LOGPS:
        if all(name in row for row in rows):
            columns[name] = [row[name] for row in rows]
    return Dataset.from_dict(columns)


def _prompt_text(tokenizer: PreTrainedTokenizerBase, prompt: Text) -> str:
    if isinstance(prompt, str):
        return prompt
    return tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)


def _completion_text(tokenizer: PreTrainedTokenizerBase, prompt: Text, completion: Text) -> str:
    if isinstance(completion, str):
        return completion
    text = tokenizer.apply_chat_template(prompt + completion, tokenize=False)
    return text.removeprefix(_prompt_text(tokenizer, prompt))


def _with_end(tokenizer: PreTrainedTokenizerBase, ids: list[int], ended: bool) -> list[int]:
    missing = ended and ids[-1:] != [tokenizer.eos_token_id]
    return ids + [tokenizer.eos_token_id] * missing


def _columns(
    tokenizer: PreTrainedTokenizerBase, rows: list[dict], *completions: str
) -> list[list[list[int]]]:
    """Token ids of the prompts, then of each completion column, for all rows, as from `encode`."""
    columns = [_ids(tokenizer, [_prompt_text(tokenizer, row["prompt"]) for row in rows])]
    for name in completions:
        texts = [_completion_text(tokenizer, row["prompt"], row[name]) for row in rows]
        ended = [row.get(f"{name}_ended", True) for row in rows]
        columns.append(
            [
                _with_end(tokenizer, ids, has_ended)
                for ids, has_ended in zip(_ids(tokenizer, texts), ended, strict=True)
            ]
        )
    return columns


def _ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    if not texts:
        return []
    return tokenizer(list(texts), add_special_tokens=False)["input_ids"]
