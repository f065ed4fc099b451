"""One row in the formats of TRL's documentation (dataset_formats): standard or conversational.

Language modelling, prompt-only, prompt-completion, preference (with an explicit or an implicit
prompt), unpaired preference and stepwise supervision. A text is a string, or a list of messages
{"role", "content"}; the values of a row are all of one kind. A row that does not fit raises
ValueError with one line that says what was expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Messages = list[dict[str, str]]
Text = str | Messages

PAIR = ("prompt", "chosen", "rejected")
_NEEDED = {"completion", "chosen", "rejected"}


def is_conversation(value: Any) -> bool:
    """Whether this is a list of messages, each with a role and a content that are texts."""
    return isinstance(value, list) and all(
        isinstance(message, dict)
        and isinstance(message.get("role"), str)
        and isinstance(message.get("content"), str)
        for message in value
    )


def prompt(row: Any) -> Text:
    """The prompt of a row of any format but standard language modelling, which has none."""
    columns = _columns(row)
    if "prompt" in columns:
        return _text("prompt", columns["prompt"])
    if "messages" in columns:
        return demonstration(row)["prompt"]
    if {"chosen", "rejected"} <= columns.keys():
        return pair(row)["prompt"]
    raise ValueError(f"expected a column prompt, messages, or chosen and rejected{_found(row)}")


def demonstration(row: Any) -> dict[str, Text]:
    """{"prompt", "completion"} of prompt-completion or language modelling.

    A standard text without a prompt has the empty one; a conversation is cut before its last
    message, which is the assistant's.
    """
    columns = _columns(row)
    if "text" in columns:
        return {"prompt": "", "completion": _text("text", columns["text"], conversation=False)}
    if "messages" in columns:
        messages = _text("messages", columns["messages"], standard=False)
        if len(messages) < 2 or messages[-1]["role"] != "assistant":
            raise ValueError("expected messages that end with the assistant's after another")
        return {"prompt": messages[:-1], "completion": messages[-1:]}
    if not {"prompt", "completion"} <= columns.keys():
        raise ValueError(
            f"expected the columns prompt and completion, text or messages{_found(row)}"
        )
    found = {name: columns[name] for name in ("prompt", "completion")}
    return _alike(found)


def pair(row: Any) -> dict[str, Text]:
    """{"prompt", "chosen", "rejected"}; an implicit prompt is what both begin with."""
    columns = _columns(row)
    if {"chosen", "rejected"} <= columns.keys() and "prompt" not in columns:
        columns = _with_prompt(_alike({name: columns[name] for name in PAIR[1:]}))
    if not {*PAIR} <= columns.keys():
        raise ValueError(f"expected the columns prompt, chosen and rejected{_found(row)}")
    found = _alike({name: columns[name] for name in PAIR})
    if found["chosen"] == found["rejected"]:
        raise ValueError("chosen and rejected are the same")
    return found


def judged(row: Any) -> dict[str, Any] | None:
    """{"prompt", "completion", "label"} of an unpaired preference; None for another format."""
    columns = _columns(row)
    if "label" not in columns or "completion" not in columns:
        return None
    label = columns["label"]
    if isinstance(label, str):  # a cell of CSV
        label = {"true": True, "1": True, "false": False, "0": False}.get(label.lower())
    if label not in (True, False):
        raise ValueError(f"expected a label that is true or false, got {columns['label']!r}")
    return demonstration(row) | {"label": bool(label)}


def _columns(row: Any) -> Mapping[str, Any]:
    """The columns of a row; Parquet has None where JSON leaves out what need not be there."""
    if not isinstance(row, dict):
        return {}
    return {name: value for name, value in row.items() if value is not None or name in _NEEDED}


def _found(row: Any) -> str:
    return f" (found: {', '.join(row) if isinstance(row, dict) and row else 'none'})"


def _text(name: str, value: Any, standard: bool = True, conversation: bool = True) -> Text:
    kinds = ["a text"] * standard + ["a list of messages with role and content"] * conversation
    fits = (standard and isinstance(value, str)) or (conversation and is_conversation(value))
    if not fits:
        raise ValueError(f"{name}: expected {' or '.join(kinds)}, got {_short(value)}")
    if not value or (isinstance(value, str) and not value.strip()):
        raise ValueError(f"{name}: expected something, got an empty one")
    return value


def _alike(found: dict[str, Any]) -> dict[str, Text]:
    """The values as they are: all texts, or all conversations, and none empty."""
    *others, last = found
    names = f"{', '.join(others)} and {last}"
    number = {2: "two", 3: "three"}[len(found)]
    values = found.values()
    texts = all(isinstance(value, str) for value in values)
    if not texts and not all(is_conversation(value) for value in values):
        raise ValueError(f"{names} take {number} texts, or {number} lists of messages")
    if not all(values):
        raise ValueError(f"{names} take something, and one is empty")
    return found


def _with_prompt(found: dict[str, Text]) -> dict[str, Text]:
    """Chosen and rejected with what both begin with as the prompt, as TRL's `extract_prompt` does.

    A text is cut where a word begins, so that "black" and "blue" are not cut behind "bl".
    """
    chosen, rejected = found["chosen"], found["rejected"]
    pairs = zip(chosen, rejected, strict=False)
    shorter = min(len(chosen), len(rejected))
    cut = next((at for at, (one, other) in enumerate(pairs) if one != other), shorter)
    if isinstance(chosen, str):
        while cut > 0 and not chosen[cut - 1 : cut].isspace():
            cut -= 1
        while cut > 0 and chosen[cut - 1].isspace():  # the completion brings the space before it
            cut -= 1
    if cut == 0 and chosen != rejected:
        raise ValueError("expected chosen and rejected that begin with the same prompt")
    return {"prompt": chosen[:cut], "chosen": chosen[cut:], "rejected": rejected[cut:]}


def _short(value: Any) -> str:
    shown = " ".join(repr(value).split())
    return shown if len(shown) <= 60 else shown[:57] + "..."
