"""Conversations as a chat template writes them: the prompt, the answer, and the end of a turn."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from transformers import PreTrainedTokenizerBase

from align_core.config.errors import ConfigError, shown
from align_core.config.messages import plain
from align_core.data.formats import Messages

_QUESTION, _ANSWER = "first-question", "first-answer"


def prompt_text(tokenizer: PreTrainedTokenizerBase, prompt: Messages, **arguments: Any) -> str:
    """The conversation as text, up to the point where the model writes the answer.

    If the last message is the assistant's, the model continues it. `arguments` are passed to the
    template, such as `tools`.

    Raises:
        ConfigError: the tokenizer has no chat template, or it refuses the conversation or leaves
            out the last message.
    """
    if _begins_answer(prompt):
        arguments["continue_final_message"] = True
        return _render(tokenizer, prompt, add_generation_prompt=False, **arguments)
    text = _render(tokenizer, prompt, add_generation_prompt=True, **arguments)
    _check_written(tokenizer, prompt[-1:], text)
    return text


def _check_written(tokenizer: PreTrainedTokenizerBase, messages: Messages, text: str) -> None:
    """Raises ConfigError unless the rendered text has the content of the messages; of thoughts, a
    template may leave out what is before `</think>`."""
    for message in messages:
        content = message["content"].rpartition("</think>")[2].strip()
        if content not in text or not text:
            line = (
                f"{tokenizer.name_or_path}: expected a chat template that writes each message, got "
                f"{shown(text)} for the {message['role']}'s {shown(content)}"
            )
            raise ConfigError(plain(line))


def _begins_answer(prompt: Messages) -> bool:
    """Whether the last message is the assistant's, so that the prompt contains the answer's
    start."""
    return bool(prompt) and prompt[-1]["role"] == "assistant"


def answer_text(tokenizer: PreTrainedTokenizerBase, prompt: Messages, answer: Messages) -> str:
    """The text that the template writes after `prompt_text`, up to the token that ends the turn.

    A generation prompt may be longer than the header of the turn, for example by `<think>`. Then
    the returned text starts with the content of the answer.

    Raises:
        ConfigError: as from `prompt_text`; or the answer cannot be found in the conversation.
    """
    opening = prompt_text(tokenizer, prompt)
    if _begins_answer(prompt):
        content = prompt[-1]["content"] + answer[0]["content"]
        prompt, answer = prompt[:-1], [{**answer[0], "content": content}, *answer[1:]]
    conversation = _render(tokenizer, prompt + answer, add_generation_prompt=False)
    _check_written(tokenizer, answer, conversation)
    if conversation.startswith(opening):
        text = conversation[len(opening) :]
    else:
        before = _render(tokenizer, prompt, add_generation_prompt=False)
        after = conversation[len(before) :]
        header, content, rest = after.partition(answer[0]["content"].strip())
        begins = conversation.startswith(before) and opening.startswith(before + header)
        if not (content and begins):
            line = (
                f"{tokenizer.name_or_path}: expected a chat template that begins an answer as its "
                f"generation prompt does, {opening[-40:]!r}, got {conversation[-40:]!r}"
            )
            raise ConfigError(plain(line))
        text = content + rest
    end = turn_end(tokenizer)
    return text if end is None else text.partition(tokenizer.convert_ids_to_tokens(end))[0]


def turn_end(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Id of the token that ends an answer in the chat template; None if it writes none."""
    if tokenizer.chat_template is None:
        return None
    return _turn_end(tokenizer, str(tokenizer.chat_template))


@lru_cache(maxsize=8)
def _turn_end(tokenizer: PreTrainedTokenizerBase, template: str) -> int | None:
    messages = [{"role": "user", "content": _QUESTION}, {"role": "assistant", "content": _ANSWER}]
    try:
        conversation = _render(tokenizer, messages, add_generation_prompt=False)
    except ConfigError:  # a template for conversations of another kind
        return None
    tail = tokenizer(conversation.rpartition(_ANSWER)[2], add_special_tokens=False)["input_ids"]
    return next((token for token in tail if token in tokenizer.added_tokens_decoder), None)


def _render(
    tokenizer: PreTrainedTokenizerBase,
    messages: Messages,
    *,
    add_generation_prompt: bool,
    **arguments: Any,
) -> str:
    name = tokenizer.name_or_path
    if tokenizer.chat_template is None:
        line = f"{name}: expected a model with a chat template for prompts of messages, got none"
        raise ConfigError(plain(line))
    try:
        return tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt, **arguments
        )
    except Exception as error:  # a template is a program, which may fail in any way
        roles = ", ".join(message["role"] for message in messages)
        line = f"{name}: its chat template refuses a conversation of {roles}: {error}"
        raise ConfigError(plain(line)) from error
