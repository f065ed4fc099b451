"""The prompts of a data set for PPO: texts, messages, or token ids, alone or from a collator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from datasets import Dataset, IterableDataset
from transformers import PreTrainedTokenizerBase

from align_core.config.errors import one_line, shown
from align_core.data.chat import prompt_text
from align_core.data.encoding import Inputs, Prompts, are_token_ids, encode_prompts

Row = dict[str, Any]

CHECKED = 10_000  # rows that are checked before a run; others are checked in their rollout

# Columns of TRL's formats that are arguments of the chat template.
_TEMPLATE_COLUMNS = ("tools", "chat_template_kwargs")
# Columns that are read here, or whose names are other arguments of reward functions.
_RESERVED = {
    "prompt",
    "prompts",
    "completion",
    "completions",
    "completion_ids",
    "input_ids",
    "attention_mask",
    "trainer_state",
}


def prompts_of(
    rows: Sequence[Row], collator: Callable, tokenizer: PreTrainedTokenizerBase
) -> Inputs:
    """The prompts of rows of a data set: texts, messages, or token ids without padding.

    `collator` is `list`, or returns `input_ids` and perhaps an `attention_mask` for rows. Its
    result takes precedence over the column `input_ids`, which takes precedence over `prompt`.
    Without a mask, padding tokens at both ends of a row are removed.
    """
    if collator is not list:
        try:
            batch = collator(rows)
        except (TypeError, ValueError, LookupError) as error:
            line = f"expected a batch with input_ids, got {one_line(error)}"
            raise ValueError(f"data_collator: {line}") from error
        if not isinstance(batch, Mapping) or "input_ids" not in batch:
            got = ", ".join(batch) if isinstance(batch, Mapping) else type(batch).__name__
            raise ValueError(f"data_collator: expected a batch with input_ids, got {got}")
        names = [name for name in ("input_ids", "attention_mask") if name in batch]
        rows = [{name: batch[name][i] for name in names} for i in range(len(rows))]
    if "input_ids" not in rows[0]:
        return [_checked(row["prompt"]) for row in rows]
    return [_without_padding(row, tokenizer.pad_token_id) for row in rows]


def _checked(prompt: Any) -> Any:
    if not isinstance(prompt, str) and not (
        isinstance(prompt, list) and all(isinstance(message, Mapping) for message in prompt)
    ):
        raise ValueError(f"prompt: expected text or messages, got {shown(prompt)}")
    return prompt


def _without_padding(row: Row, pad: int) -> list[int]:
    if isinstance(row["input_ids"], Mapping):  # as from `apply_chat_template`
        row = {**row["input_ids"]}
    expected = "input_ids: expected a list of token ids in each row"
    try:
        ids = torch.as_tensor(row["input_ids"])
    except (TypeError, ValueError):
        raise ValueError(f"{expected}, got {shown(row['input_ids'])}") from None
    if ids.dim() != 1:
        raise ValueError(f"{expected}, got shape {[*ids.shape]}")
    if row.get("attention_mask") is not None:
        return ids[torch.as_tensor(row["attention_mask"]).bool()].tolist()
    real = (ids != pad).nonzero()
    return ids[int(real[0]) : int(real[-1]) + 1].tolist() if len(real) else []


def encoded(tokenizer: PreTrainedTokenizerBase, prompts: Inputs, rows: Sequence[Row]) -> Prompts:
    """The token ids of the prompts of these rows; the template gets their tools and arguments."""
    if are_token_ids(prompts) or isinstance(prompts[0], str):
        return encode_prompts(tokenizer, prompts)
    if not any(row.get(name) for row in rows for name in _TEMPLATE_COLUMNS):
        return encode_prompts(tokenizer, prompts)
    texts = [
        prompt_text(tokenizer, prompt, **_template_arguments(row))
        for prompt, row in zip(prompts, rows, strict=True)
        if not isinstance(prompt, str)
    ]
    return encode_prompts(tokenizer, tokenizer(texts, add_special_tokens=False)["input_ids"])


def _template_arguments(row: Row) -> dict[str, Any]:
    """The row's arguments for the chat template, without those that are None: Arrow writes None for
    a missing one."""
    arguments = {"tools": row.get("tools"), **(row.get("chat_template_kwargs") or {})}
    return {name: value for name, value in arguments.items() if value is not None}


def columns_of(rows: Sequence[Row]) -> dict[str, list]:
    """The columns of these rows other than the prompts, as arguments for reward functions. A value
    that a row lacks is None."""
    names = dict.fromkeys(name for row in rows for name in row if name not in _RESERVED)
    return {name: [row.get(name) for row in rows] for name in names}


def check_columns(name: str, data: Dataset | IterableDataset, has_collator: bool) -> None:
    """Check that a data set has rows, and a column with prompts.

    Raises:
        ValueError: it is not a data set, or lacks rows or the column; the message begins with the
            argument's `name`.
    """
    if data is None:
        raise ValueError(f"{name}: expected a data set with a column prompt or input_ids, got None")
    if hasattr(data, "__len__") and not len(data):
        raise ValueError(f"{name}: expected one row or more, got none")
    if isinstance(data, Mapping):
        raise ValueError(f"{name}: expected a data set, got a dict of {', '.join(map(str, data))}")
    if isinstance(data, Iterator):  # it can be read only once
        line = "expected a data set, got a generator; IterableDataset.from_generator makes one"
        raise ValueError(f"{name}: {line}")
    if hasattr(data, "column_names"):
        columns = data.column_names
    elif isinstance(first := next(iter(data)), Mapping):
        columns = [*first]
    else:
        raise ValueError(f"{name}: expected a data set of rows, got {shown(data)}")
    if columns and not has_collator and not {"prompt", "input_ids"} & {*columns}:
        got = ", ".join(columns)
        line = f"{name}: expected a column prompt (text or messages) or input_ids, got {got}"
        raise ValueError(f"{line}; data.rename_column({columns[0]!r}, 'prompt') renames one")


class Room(NamedTuple):
    """The room for a prompt: at most `tokens` tokens, which are the positions of the models minus
    `response_length`, from a vocabulary of `rows` rows."""

    tokens: float
    response_length: int
    rows: int

    def check(self, prompts: Inputs, ids: Prompts) -> None:
        """Check that the models have room for each prompt.

        Raises:
            ValueError: a prompt is empty or too long, or has a token that the policy lacks; the
                message quotes the prompt.
        """
        for prompt, tokens in zip(prompts, ids.real(), strict=True):
            if not tokens:
                expected, got = "one token or more", 0
            elif len(tokens) > self.tokens:
                expected = f"at most {self.tokens} tokens (the positions of the models minus "
                expected += f"response_length, {self.response_length})"
                got = len(tokens)
            elif max(tokens) >= self.rows:
                expected, got = f"tokens below {self.rows}, the policy's vocabulary", max(tokens)
            else:
                continue
            raise ValueError(f"expected prompts of {expected}, got {got}: {prompt!r:.80}")


def first_rows(data: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Yields the first CHECKED rows of a data set, `size` at a time."""
    rows = islice(iter(data), CHECKED)
    while batch := list(islice(rows, size)):
        yield batch
