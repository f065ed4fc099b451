"""Rows in the formats that TRL documents (dataset_formats), standard or conversational.

The formats are language modelling, prompt-only, prompt-completion, preference (with an explicit or
an implicit prompt), unpaired preference and stepwise supervision. A text is a string, or a list of
messages {"role", "content"}; all values of a row are of one kind, and a completion is one message,
the assistant's. Rows with tools or images are refused, as the models here would not see them. A
column such as `chosen_ended` says whether that text ended by itself. An invalid row raises Invalid,
whose message says what was expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from align_core.config.messages import Invalid, Message, problem

Messages = list[dict[str, str]]
Text = str | Messages

PAIR = ("prompt", "chosen", "rejected")
_REQUIRED = {"completion", "chosen", "rejected"}
_UNREAD = ("tools", "chat_template_kwargs", "images", "image")  # columns of TRL's formats


def is_conversation(value: Any) -> bool:
    """Whether this is a list of messages with a role and a content, both strings."""
    return isinstance(value, list) and all(
        isinstance(message, dict)
        and isinstance(message.get("role"), str)
        and isinstance(message.get("content"), str)
        for message in value
    )


def prompt(row: Any) -> Text:
    """The prompt of a row in any format that has one."""
    columns = _columns(row)
    if "prompt" in columns:
        return _text("prompt", columns["prompt"])
    if "messages" in columns:
        return demonstration(row)["prompt"]
    if {"chosen", "rejected"} <= columns.keys():
        return pair(row)["prompt"]
    text = "expected a column prompt, messages, or chosen and rejected, got {got}"
    raise Invalid(problem("prompt_column", text, got=_got(row)))


def demonstration(row: Any) -> dict[str, Any]:
    """{"prompt", "completion"} of a row for prompt-completion or language modelling.

    With `completion_ended` if the row has it. A language-modelling text has an empty prompt. The
    last message of a conversation, which must be the assistant's, is its completion.
    """
    columns = _columns(row)
    if {"prompt", "completion"} <= columns.keys():
        texts = _of_one_kind({name: columns[name] for name in ("prompt", "completion")})
        return texts | _ended(columns, "completion")
    if "text" in columns:
        text = _text("text", columns["text"], conversation=False)
        return {"prompt": "", "completion": text, **_ended(columns, "completion")}
    if "messages" in columns:
        messages: Any = _text("messages", columns["messages"], standard=False)
        if len(messages) < 2 or messages[-1]["role"] != "assistant":
            text = "expected two messages or more, the last one the assistant's"
            raise Invalid(problem("two_messages", text))
        ended = _ended(columns, "completion")
        return {"prompt": messages[:-1], "completion": messages[-1:], **ended}
    text = "expected the columns prompt and completion, text or messages, got {got}"
    raise Invalid(problem("demonstration_columns", text, got=_got(row)))


def pair(row: Any) -> dict[str, Any]:
    """{"prompt", "chosen", "rejected"}; an implicit prompt is the common beginning of the texts.

    With `chosen_ended` and `rejected_ended` if the row has them.
    """
    columns = _columns(row)
    ended = _ended(columns, "chosen", "rejected")
    if {"chosen", "rejected"} <= columns.keys() and "prompt" not in columns:
        columns = _with_prompt(_of_one_kind({name: columns[name] for name in PAIR[1:]}))
    if not {*PAIR} <= columns.keys():
        text = "expected the columns prompt, chosen and rejected, got {got}"
        raise Invalid(problem("pair_columns", text, got=_got(row)))
    values = _of_one_kind({name: columns[name] for name in PAIR})
    if values["chosen"] == values["rejected"]:
        raise Invalid(problem("same", "chosen and rejected are the same"))
    return values | ended


def unpaired(row: Any) -> dict[str, Any] | None:
    """{"prompt", "completion", "label"} of an unpaired preference; None for any other format."""
    columns = _columns(row)
    if "label" not in columns or "completion" not in columns:
        return None
    return demonstration(row) | {"label": _boolean("label", columns["label"])}


def _columns(row: Any) -> Mapping[str, Any]:
    """The columns of a row, without optional ones whose value is missing: None or NaN."""
    if not isinstance(row, dict):
        return {}
    missing = [name for name, value in row.items() if value is None or value != value]
    columns = {name: value for name, value in row.items() if name not in missing}
    for name in _UNREAD:
        if columns.get(name) not in (None, "", "[]", "{}", [], {}):
            text = "{column}: expected none, as only texts are read, got {got}"
            raise Invalid(problem("unread", text, column=name, got=_short(columns[name])))
    return {name: value for name, value in row.items() if name in columns or name in _REQUIRED}


def _ended(columns: Mapping[str, Any], *texts: str) -> dict[str, bool]:
    """The columns that say whether these texts ended by themselves, if the row has them."""
    names = [f"{text}_ended" for text in texts]
    return {name: _boolean(name, columns[name]) for name in names if name in columns}


def _boolean(name: str, value: Any) -> bool:
    """The boolean in a cell, which may also be a word, as in CSV, or a float, as in a column with
    missing values."""
    word = str(value).strip().lower()
    if word in ("true", "1", "1.0"):
        return True
    if word in ("false", "0", "0.0"):
        return False
    text = "expected a {column} that is true or false, got {got}"
    raise Invalid(problem("boolean", text, column=name, got=_short(value)))


def _got(row: Any) -> str:
    names = ", ".join(_columns(row)) or "none"
    return names if len(names) <= 60 else names[:57] + "..."


def _text(name: str, value: Any, standard: bool = True, conversation: bool = True) -> Text:
    fits = (standard and isinstance(value, str)) or (conversation and is_conversation(value))
    if not fits:
        values = {"column": name, "got": _short(value)}
        if not conversation:
            raise Invalid(problem("text", "{column}: expected a text, got {got}", **values))
        messages = "a list of messages with role and content, got {got}"
        if not standard:
            raise Invalid(problem("messages", f"{{column}}: expected {messages}", **values))
        text = f"{{column}}: expected a text or {messages}"
        raise Invalid(problem("text_or_messages", text, **values))
    if _is_blank(value):
        raise Invalid(_empty(name))
    return value


def _is_blank(text: Text) -> bool:
    """Whether a text, or the last message of a conversation, has no character but spaces."""
    return not text or not (text if isinstance(text, str) else text[-1]["content"]).strip()


def _empty(column: str) -> Message:
    return problem("empty", "{column}: expected a text, got an empty one", column=column)


def _of_one_kind(columns: dict[str, Any]) -> dict[str, Text]:
    """The columns, which must be all texts or all conversations, and none empty."""
    *others, last = columns
    names = f"{', '.join(others)} and {last}"
    values = columns.values()
    texts = all(isinstance(value, str) for value in values)
    if not texts and not all(is_conversation(value) for value in values):
        text = "expected {number} texts or {number} lists of messages as {columns}, got {got}"
        number = {2: "two", 3: "three"}[len(columns)]
        neither = [
            value for value in values if not isinstance(value, str) and not is_conversation(value)
        ]
        got = _short(neither[0]) if neither else "both"
        raise Invalid(problem("of_one_kind", text, columns=names, number=number, got=got))
    for name, value in columns.items():
        if _is_blank(value):
            raise Invalid(_empty(name))
        if name != "prompt" and isinstance(value, list) and "prompt" in columns:
            _check_answer(name, value)
    return columns


def _check_answer(name: str, messages: Messages) -> None:
    """Raises Invalid unless the messages are one, the assistant's."""
    if [message["role"] for message in messages] != ["assistant"]:
        text = "{column}: expected one message, the assistant's, got those of {got}"
        got = ", ".join(message["role"] for message in messages)
        raise Invalid(problem("one_message", text, column=name, got=got[:60]))


def _with_prompt(pair: dict[str, Text]) -> dict[str, Text]:
    """The pair with the common beginning of its texts as the prompt, like TRL's `extract_prompt`.

    Texts are cut at the start of a word, so that "black" and "blue" are not cut after "bl".
    """
    chosen, rejected = pair["chosen"], pair["rejected"]
    items = enumerate(zip(chosen, rejected, strict=False))
    shorter = min(len(chosen), len(rejected))
    cut = next((index for index, (first, second) in items if first != second), shorter)
    if isinstance(chosen, str):
        while cut > 0 and not chosen[cut - 1 : cut].isspace():
            cut -= 1
        while cut > 0 and chosen[cut - 1].isspace():  # the completion has the leading space
            cut -= 1
    if cut == 0 and chosen != rejected:
        text = "expected chosen and rejected that begin with the same prompt"
        raise Invalid(problem("same_beginning", text))
    return {"prompt": chosen[:cut], "chosen": chosen[cut:], "rejected": rejected[cut:]}


def _short(value: Any) -> str:
    shown = " ".join(repr(value).split())
    return shown if len(shown) <= 60 else shown[:57] + "..."
