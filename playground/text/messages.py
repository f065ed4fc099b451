"""The messages in a run's status events, in the page's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from align_core.config.messages import Message, from_event
from playground.text import error_messages
from playground.text.paths import without_folders


def translate(event: Mapping[str, Any], words: Mapping[str, Any]) -> str:
    """The message of a status event in the language of the catalogue `words`.

    A message with an unknown code, of an exception or an older version, keeps its text. Folders are
    removed from paths.
    """
    message = from_event(event)
    try:
        return without_folders(_translate(message, words))
    except (LookupError, TypeError, ValueError, AttributeError):  # the log of another version
        return without_folders(message.text)


def _translate(message: Message, words: Mapping[str, Any]) -> str:
    templates, values = words["messages"], message.values
    match message.code:
        case "refused":
            lines = map(from_event, values["lines"])
            return "; ".join(error_messages.translate(line, words) for line in lines)
        case "cut_off":
            cause = translate(values["cause"], words).rstrip(".。")
            model = templates["kept" if values["kept"] else "lost"]
            return templates["cut_off"].format(cause=cause, model=model)
        case "not_finite":
            settings = {"try_rate": "learning_rate", "try_beta": "beta"}
            tries = [
                templates[text].format(**values)
                for text, setting in settings.items()
                if values.get(setting) is not None
            ]
            tries = tries or [templates["try_reward"]]
            cause = translate(values["what"], words)
            return templates["not_finite"].format(
                step=values["step"], what=cause, tries=templates["or"].join(tries)
            )
        case code if code in templates:
            return templates[code].format(**values)
    return message.text
