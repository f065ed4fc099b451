"""The error messages of align_core, ConfigError's and Unanswered's, in the page's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from align_core.config.errors import flag
from align_core.config.messages import Message, from_event
from align_core.config.run_config import RunConfig
from playground.text.paths import without_folders


def translate(message: Message, words: Mapping[str, Any]) -> str:
    """An error message in the language of the catalogue `words`.

    A message with an unknown code keeps its text; only the name of its option is translated.
    Folders are removed from paths.
    """
    return without_folders(_translate(message, words))


def _translate(message: Message, words: Mapping[str, Any]) -> str:
    names = _option_names(words)
    code, values = message.code, message.values
    templates = words["errors"]
    if code in templates["takes"]:
        takes = templates["takes"][code].format(**values)
        got, option = values["got"], values["option"]
        template = templates["no_number"] if got == "nan" else templates["got"]
        got = templates["nothing"] if got == "nothing" else got
        return template.format(name=names.get(option, option), got=got, takes=takes)
    if code in templates["says"]:
        option = values.get("option", "")
        return templates["says"][code].format(**{"name": names.get(option, option), **values})
    if code in templates["files"]:
        return _file_message(message, words, words["own"]["labels"] | words["own"]["keys"])
    option, _, rest = message.text.partition(" ")
    return f"{names.get(option, option)} {rest}"


def _file_message(message: Message, words: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """The text of a message about a task's files, which may be composed of other messages.

    `labels` are the page's names for the keys of task.toml. A message inside another one keeps the
    key itself, because it is about a line of a file.
    """
    templates = words["errors"]
    values = {
        name: _file_message(from_event(value), words, {}) if isinstance(value, dict) else value
        for name, value in message.values.items()
    }
    if message.code == "takes":
        values["takes"] = templates["keys"][values["key"]]
    if values.get("got") == "nothing":
        values["got"] = templates["nothing"]
    if "key" in values:
        values["key"] = labels.get(values["key"], values["key"])
    return templates["files"][message.code].format(**values)


def _option_names(words: Mapping[str, Any]) -> dict[str, str]:
    """The page's names for the command line's options: {"--beta": "β", …}."""
    labels = words["controls"]
    settings = {flag(name): labels[name] for name in RunConfig.model_fields if name in labels}
    return {**settings, **words["try"]["options"]}
