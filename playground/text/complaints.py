"""What align_core refuses, in the words of the page: lines of a ConfigError or of Unanswered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from align_core.config.errors import flag
from align_core.config.messages import Message
from align_core.config.run_config import RunConfig


def translate(line: Message, words: Mapping[str, Any]) -> str:
    """A line as the catalogue `words` says it; one of an unknown code stays as it is, but for
    the name of its option."""
    names = _names(words)
    code, values = line.code, line.values
    named = words["complaints"]
    if code in named["takes"]:
        takes = named["takes"][code].format(**values)
        got, option = values["got"], values["option"]
        template = named["no_number"] if got == "nan" else named["got"]
        got = named["nothing"] if got == "nothing" else got
        return template.format(name=names.get(option, option), got=got, takes=takes)
    if code in named["says"]:
        option = values.get("option")
        return named["says"][code].format(**{"name": names.get(option, option), **values})
    option, _, rest = line.text.partition(" ")
    return f"{names.get(option, option)} {rest}"


def _names(words: Mapping[str, Any]) -> dict[str, str]:
    """What the page calls the options of the command line."""
    labels = words["controls"]
    settings = {flag(name): labels[name] for name in RunConfig.model_fields if name in labels}
    return {**settings, **words["try"]["options"]}
