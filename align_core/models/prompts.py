"""The inputs of a model for a task's prompts: messages if it has a chat template, else texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.errors import ConfigError, collect_errors, raise_collected
from align_core.config.messages import Message, plain
from align_core.data.encoding import encode_prompts
from align_core.data.formats import Text
from align_core.models.loading import positions
from align_core.tasks import Task

MAX_ERRORS = 20  # reported at once
BATCH = 1024  # prompts encoded at once
_COMPLETIONS = ("completion", "chosen", "rejected")


def model_inputs(
    tokenizer: PreTrainedTokenizerBase, task: Task, prompts: Sequence[str]
) -> list[Text]:
    """The prompts as inputs of the model that has this tokenizer."""
    chat = tokenizer.chat_template is not None
    return [task.model_input(prompt, chat) for prompt in prompts]


def rows_with_model_inputs(
    tokenizer: PreTrainedTokenizerBase, task: Task, rows: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The rows with their prompts as inputs of the model.

    Completions after messages lose their leading space. Prompts that are messages already are
    unchanged, and so is "", the prompt of a row that is one whole text.
    """
    converted = []
    for row in rows:
        prompt = row["prompt"]
        if isinstance(prompt, str) and prompt:
            (prompt,) = model_inputs(tokenizer, task, [prompt])
        if isinstance(prompt, list):
            texts = {name: row[name] for name in _COMPLETIONS if isinstance(row.get(name), str)}
            row = row | {name: text.lstrip() for name, text in texts.items()}
        converted.append(row | {"prompt": prompt})
    return converted


def room_for(max_new_tokens: int, *models: PreTrainedModel) -> float:
    """The number of tokens that a prompt may have before a completion of `max_new_tokens`.

    Raises:
        ConfigError: the number is below 1.
    """
    tightest = min(models, key=positions)
    room = positions(tightest) - max_new_tokens
    if room < 1:
        line = (
            f"model {tightest.name_or_path}: expected more than {max_new_tokens} positions, as the "
            f"task's completions may have that many tokens, got {positions(tightest)}"
        )
        raise ConfigError(plain(line))
    return room


def check_prompts(
    task: Task,
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *readers: PreTrainedModel,
    splits: Sequence[str] = ("train", "probe", "heldout"),
) -> None:
    """Check that the models have enough positions for every prompt of the task and its completion:
    the policy, and `readers`, other models that read the policy's tokens.

    Raises:
        ConfigError: one message for each prompt that is too long, or that needs a chat template.
    """
    max_tokens = room_for(task.max_new_tokens, policy, *readers) + task.max_new_tokens
    lines: list[Message] = []
    prompts = [prompt for split in splits for prompt in task.prompts(split)]
    for start in range(0, len(prompts), BATCH):
        batch = prompts[start : start + BATCH]
        inputs: list[Text] = []
        for prompt in batch:
            with collect_errors(lines):
                inputs += model_inputs(tokenizer, task, [prompt])
        if max_tokens < math.inf and len(inputs) == len(batch):
            lengths = encode_prompts(tokenizer, inputs).mask.sum(1).tolist()
            room = max_tokens - task.max_new_tokens
            reason = (
                f"the model's {max_tokens} positions minus max_new_tokens, {task.max_new_tokens}"
            )
            lines += [
                plain(f"{task.origin(prompt)}: expected at most {room} tokens ({reason}), got {n}")
                for prompt, n in zip(batch, lengths, strict=True)
                if n > room
            ]
        if len(lines) >= MAX_ERRORS:
            break
    raise_collected(lines[:MAX_ERRORS])
