"""Encoding of texts or conversations, in TRL's formats, as token ids.

A prompt and its completion are tokenised as one text, which is then split. A prompt of plain text
begins with the token that the tokenizer puts before a text, if any; in a conversation the chat
template writes it. The end token is appended only to texts that ended by themselves, not to those
cut at the token limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import TYPE_CHECKING

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from align_core.data.chat import answer_text, prompt_text, turn_end
from align_core.data.formats import Text

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Inputs = Sequence[Text] | Sequence[list[int]]  # prompts before or after their encoding

REFERENCE_LOGPS = "ref_chosen_logps", "ref_rejected_logps"  # TRL's names of these columns


@dataclass(frozen=True)
class Prompts:
    """Prompts as token ids [B, P], padded on the left; the mask is 1 at real tokens."""

    ids: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> Prompts:
        return Prompts(self.ids.to(device), self.mask.to(device))

    def real(self) -> list[list[int]]:
        """The token ids of each prompt, without padding."""
        return [ids[mask.bool()].tolist() for ids, mask in zip(self.ids, self.mask, strict=True)]

    def repeat(self, times: int) -> Prompts:
        """Each prompt repeated `times` times in succession."""
        return Prompts(self.ids.repeat_interleave(times, 0), self.mask.repeat_interleave(times, 0))

    def __getitem__(self, rows: slice | Tensor) -> Prompts:
        """The prompts of these rows, cut to the longest of them."""
        ids, mask = self.ids[rows], self.mask[rows]
        start = ids.shape[1] - int(mask.sum(1).max())
        return Prompts(ids[:, start:], mask[:, start:])


def encode_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Inputs) -> Prompts:
    """Token ids of the prompts, padded on the left. Conversations go through the chat template."""
    rows = prompts if are_token_ids(prompts) else _prompt_ids(tokenizer, prompts)
    width = max(len(row) for row in rows)
    pad = tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return Prompts(ids, mask)


def are_token_ids(prompts: Inputs) -> TypeIs[Sequence[list[int]]]:
    """Whether the prompts are encoded already."""
    first = prompts[0]
    return not isinstance(first, str) and not (first and isinstance(first[0], dict))


def pad_responses(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Tokens [B, T], padded on the right, and their boolean mask."""
    width = max(len(row) for row in rows)
    tokens = torch.tensor([list(row) + [pad] * (width - len(row)) for row in rows])
    mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])
    return tokens, mask


def encode(
    tokenizer: PreTrainedTokenizerBase, prompt: Text, completion: Text, ended: bool = True
) -> tuple[list[int], list[int]]:
    """Token ids of a prompt and of its completion, with the end token if it ended.

    A token that spans the end of the prompt and the start of the completion belongs to the
    completion.
    """
    (before,), (after,) = encode_all(tokenizer, [prompt], [completion], [ended])
    return before, after


def encode_all(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Text],
    completions: Sequence[Text],
    ended: Sequence[bool],
) -> tuple[list[list[int]], list[list[int]]]:
    """`encode` for many rows: token ids of all prompts, and of all completions."""
    names = "prompt", "completion", "completion_ended"
    rows = [
        dict(zip(names, row, strict=True)) for row in zip(prompts, completions, ended, strict=True)
    ]
    before, after = _columns(tokenizer, rows, "completion")
    return before, after


def decode(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
) -> list[str]:
    """The texts of the completions, without special tokens. All arguments are token ids.

    Many tokenizers drop the space before the first token, so a completion is decoded after the last
    token of its prompt.
    """
    last = [list(prompt[-1:]) for prompt in prompts]
    rows = [before + list(ids) for before, ids in zip(last, completions, strict=True)]
    contexts = tokenizer.batch_decode(last, skip_special_tokens=True)
    texts = tokenizer.batch_decode(rows, skip_special_tokens=True)
    return [text[len(context) :] for text, context in zip(texts, contexts, strict=True)]


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
    """A data set with prompt_ids, and with chosen_ids and rejected_ids, which lack the prompt.

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


def encode_ratings(tokenizer: PreTrainedTokenizerBase, ratings: Iterable[dict]) -> Dataset:
    """A data set with prompt_ids, completion_ids and label.

    A rating has prompt, completion and label, and may have completion_ended, True by default.
    """
    rows = list(ratings)
    prompts, completions = _columns(tokenizer, rows, "completion")
    labels = [row["label"] for row in rows]
    return Dataset.from_dict(
        {"prompt_ids": prompts, "completion_ids": completions, "label": labels}
    )


def _prompt_ids(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Text]) -> list[list[int]]:
    return _ids(tokenizer, [_prompt_text(tokenizer, prompt) for prompt in prompts], prompts)


def _prompt_text(tokenizer: PreTrainedTokenizerBase, prompt: Text) -> str:
    return prompt if isinstance(prompt, str) else prompt_text(tokenizer, prompt)


def _completion_text(tokenizer: PreTrainedTokenizerBase, prompt: Text, completion: Text) -> str:
    if isinstance(completion, str):
        return completion
    assert not isinstance(prompt, str)  # all values of a row are of one kind
    return answer_text(tokenizer, prompt, completion)


def _columns(
    tokenizer: PreTrainedTokenizerBase, rows: list[dict], *completions: str
) -> list[list[list[int]]]:
    """Token ids of the prompts, then of each completion column, for all rows, as from `encode`.

    The prompt of a row ends before the first token that a completion changes.
    """
    prompts = [row["prompt"] for row in rows]
    texts = [_prompt_text(tokenizer, prompt) for prompt in prompts]
    columns = [_ids(tokenizer, texts, prompts)]
    for name in completions:
        joined = [
            text + _completion_text(tokenizer, row["prompt"], row[name])
            for text, row in zip(texts, rows, strict=True)
        ]
        columns.append(_ids(tokenizer, joined, prompts))
    ends = [_end(tokenizer, prompt) for prompt in prompts]
    before = [commonprefix(row) for row in zip(*columns, strict=True)]
    return [before] + [
        [
            _with_end(ids[len(shared) :], end, row.get(f"{name}_ended", True))
            for ids, shared, end, row in zip(column, before, ends, rows, strict=True)
        ]
        for name, column in zip(completions, columns[1:], strict=True)
    ]


def _end(tokenizer: PreTrainedTokenizerBase, prompt: Text) -> int | None:
    """Id of the token that ends a completion of this prompt; None if there is none."""
    turn = None if isinstance(prompt, str) else turn_end(tokenizer)
    ends = turn, tokenizer.eos_token_id, tokenizer.sep_token_id  # BERT has only the last
    return next((end for end in ends if end is not None), None)


def _with_end(ids: list[int], end: int | None, ended: bool) -> list[int]:
    missing = ended and ids[-1:] != [end]
    return [*ids, end] if missing and end is not None else ids


def _ids(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], prompts: Sequence[Text]
) -> list[list[int]]:
    """Token ids of the texts; if the prompt is plain text, they start with the beginning token."""
    if not texts:
        return []
    begin = beginning(tokenizer)
    rows = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return [
        begin + ids if isinstance(prompt, str) and ids[: len(begin)] != begin else ids
        for ids, prompt in zip(rows, prompts, strict=True)
    ]


def beginning(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The special tokens that the tokenizer puts before a text: often one, often none."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    text_starts = (encoded["special_tokens_mask"] + [0]).index(0)
    return encoded["input_ids"][:text_starts]
