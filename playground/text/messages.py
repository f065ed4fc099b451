"""What a run says of itself, how it ended above all, in the words of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from align_core.config.messages import Message, from_event
from playground.text import complaints


def translate(event: Mapping[str, Any], words: Mapping[str, Any]) -> str:
    """The message of a status event as the catalogue `words` says it.

    One of an unknown code stays as it is: what broke, or what an older version wrote.
    """
    message = from_event(event)
    try:
        return _translate(message, words)
    except (LookupError, TypeError, ValueError, AttributeError):  # a log of another version
        return message.text


def _translate(message: Message, words: Mapping[str, Any]) -> str:
    named, values = words["messages"], message.values
    match message.code:
        case "refused":
            lines = map(from_event, values["lines"])
            return "; ".join(complaints.translate(line, words) for line in lines)
        case "cut_off":
            cause = translate(values["cause"], words).rstrip(".。")
            model = named["kept" if values["kept"] else "lost"]
            return named["cut_off"].format(cause=cause, model=model)
        case "not_finite":
            tries = [named["try_rate"].format(**values)]
            if values["beta"] is not None:
                tries.append(named["try_beta"].format(**values))
            what = translate(values["what"], words)
            return named["not_finite"].format(
                step=values["step"], what=what, tries=named["or"].join(tries)
            )
        case code if code in named:
            return named[code].format(**values)
    return message.text
