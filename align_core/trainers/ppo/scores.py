"""The scores of responses: reward models and functions, checked before a run and summed."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.errors import shown
from align_core.data.encoding import Inputs, are_token_ids, decode, encode_prompts
from align_core.data.formats import Text
from align_core.models.loading import load_tokenizer, name_of
from align_core.models.rewards import ProxyReward

# As TRL's GRPO calls them; None for a text that the function does not score.
RewardFunction: TypeAlias = Callable[..., Sequence[float | None]]
RewardModel: TypeAlias = nn.Module | RewardFunction
PADDED_TO = 256  # at most so many rows of an embedding have no token

_LOADED = "AutoModelForSequenceClassification.from_pretrained(…, num_labels=1)"


def score_function(
    rewards: RewardModel | Sequence[RewardModel],
    writer: PreTrainedTokenizerBase,
    device: torch.device,
    ends: Collection[int] = (),
    tokenizers: PreTrainedTokenizerBase | Sequence[PreTrainedTokenizerBase | None] | None = None,
    rows: int | None = None,
) -> Callable[..., list[float]]:
    """A reward, or the sum of several, as a function of prompts, completion ids and data columns.

    It may get the token ids of the prompts, too, as `prompt_ids`, where the policy read other ones
    than those that the tokenizer makes of the prompts alone.

    A model with one label scores the texts, on `device`, with its own tokenizer: that of
    `tokenizers`, as GRPO's `reward_processing_classes`, else that of its folder, else the `writer`,
    the policy's. A function is called as TRL's GRPO calls its reward functions: with prompts and
    completions (texts without the end tokens `ends`, or messages if the prompts are messages),
    completion_ids, trainer_state and every other column by its name. It may be a coroutine. A None
    in its result counts as 0.

    `rows` is the number of the policy's embeddings.

    Raises:
        TypeError, ValueError: a reward that cannot score, or whose vocabulary is not known.
    """
    several = [*rewards] if isinstance(rewards, list | tuple) else [rewards]
    own = [*tokenizers] if isinstance(tokenizers, list | tuple) else [tokenizers] * len(several)
    if len(own) != len(several):
        line = f"expected {len(several)} tokenizers, one for each reward, got {len(own)}"
        raise ValueError(f"reward_processing_classes: {line}")
    parts = [
        _proxy(reward.to(device), tokenizer, writer, ends, rows)
        if isinstance(reward, nn.Module)
        else _function(reward)
        for reward, tokenizer in zip(several, own, strict=True)
    ]

    def summed(
        prompts: Inputs,
        ids: list[list[int]],
        columns: dict[str, list],
        prompt_ids: list[list[int]] | None = None,
    ) -> list[float]:
        before = prompt_ids or encode_prompts(writer, prompts).real()
        without_end = [row[:-1] if row and row[-1] in ends else row for row in ids]
        texts = decode(writer, before, without_end)
        prompt_texts: Sequence[Text]
        if are_token_ids(prompts):
            prompt_texts = writer.batch_decode(prompts, skip_special_tokens=True)
        else:
            prompt_texts = prompts
        completions: Sequence[Text] = texts
        if not isinstance(prompt_texts[0], str):
            completions = [[{"role": "assistant", "content": text}] for text in texts]
        named = {"prompts": prompt_texts, "completions": completions, "completion_ids": ids}
        total = [0.0] * len(ids)
        for part in parts:
            if isinstance(part, ProxyReward):
                read = before if part.reads_ids else prompts
                values = part(read, texts, completion_ids=ids)
            else:
                values = _numbers(part, part(**named, **columns), len(ids))
            total = [so_far + value for so_far, value in zip(total, values, strict=True)]
        return total

    return summed


def _function(reward: Any) -> Callable:
    """Raises TypeError for what is not a function."""
    if not callable(reward):
        line = f"reward_model: expected a model with one label or a function, got {shown(reward)}"
        if isinstance(reward, str):
            line += f"; {_LOADED.replace('…', repr(reward))} loads it"
        raise TypeError(line)
    return reward


def _numbers(reward: Callable, returned: Any, count: int) -> list[float]:
    """The numbers that a reward function returned. Raises ValueError if they are none."""
    if inspect.isawaitable(returned):
        with ThreadPoolExecutor(1) as thread:  # a notebook's own thread has a loop that runs
            returned = thread.submit(asyncio.run, _awaited(returned)).result()
    values = returned.tolist() if hasattr(returned, "tolist") else returned
    expected = f"{count} numbers, one for each completion"
    name = getattr(reward, "__name__", type(reward).__name__)
    if not isinstance(values, list | tuple) or len(values) != count:
        got = f"{len(values)}" if isinstance(values, list | tuple) else shown(values)
        raise ValueError(f"reward function {name}: expected {expected}, got {got}")
    try:
        return [0.0 if value is None else float(value) for value in values]
    except (TypeError, ValueError):
        line = f"reward function {name}: expected {expected}, got {shown(values)}"
        raise ValueError(line) from None


async def _awaited(returned: Any) -> Any:
    return await returned


def _proxy(
    model: nn.Module,
    own: PreTrainedTokenizerBase | None,
    writer: PreTrainedTokenizerBase,
    ends: Collection[int],
    rows: int | None,
) -> ProxyReward:
    check_scalar(model, "reward_model")
    folder: str = getattr(model, "name_or_path", "")
    if own is None and folder:
        try:
            own = load_tokenizer(folder)
        except ValueError:  # a folder without one
            own = None
    if own is None and rows is not None and isinstance(model, PreTrainedModel):
        read = model.get_input_embeddings().num_embeddings
        if abs(read - rows) >= PADDED_TO:
            raise ValueError(
                f"reward_model {name_of(model)} reads {read} tokens, and the policy writes {rows}: "
                "expected its tokenizer as reward_processing_classes"
            )
    return ProxyReward(model, own or writer, writer, ends)


def check_scalar(model: nn.Module, argument: str) -> None:
    """Check that a model has one output for a text, as reward models and value models have.

    Raises:
        TypeError, ValueError: it has not; `argument` is what a caller passes it as.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    expected = f"{argument}: expected a model with one label, as of {_LOADED}"
    if not isinstance(base, PreTrainedModel):
        prefix = getattr(base, "base_model_prefix", None)
        if prefix is None or not hasattr(base, prefix) or not hasattr(base, "score"):
            line = "or a module with base_model_prefix, the name of its trunk, and score, its head"
            raise TypeError(f"{expected}, {line}, got {type(base).__name__}")
    elif base.get_output_embeddings() is not None or base.base_model is base:
        raise TypeError(f"{expected}, got {type(base).__name__}, which has no label")
    elif base.config.num_labels != 1:
        raise ValueError(f"{expected}, got {base.config.num_labels} labels")
