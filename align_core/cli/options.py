"""Options of commands: from a pydantic model to argparse, and from argparse to checked values.

A value stays the text that it is on the way through argparse: the model checks it, so that every
error is reported at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from pydantic import BaseModel

from align_core.config.errors import ConfigError, flag
from align_core.config.messages import Message, plain
from align_core.config.methods import methods, methods_with
from align_core.config.run_config import RunConfig, validated

# The other fields of a RunConfig say what they take.
_SWITCHES = {
    "freeze_trunk": "train the scalar head alone",
    "whiten_advantages": "shift and scale advantages to mean 0 and variance 1, or leave them in "
    "nats",
}


class Parser(argparse.ArgumentParser):
    """A parser that raises ConfigError where argparse would end the process."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        raise ConfigError(plain(message))

    def parse_known_args(self, argv: Sequence[str], namespace: Any = None) -> Any:
        return super().parse_known_args(_negative_values_joined(argv), namespace)


def add_json(parser: argparse.ArgumentParser, about: str = "print JSON") -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help=about)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each field of a RunConfig but the method."""
    for name in RUN_OPTIONS:
        field, of = RunConfig.model_fields[name], methods_with(name)
        about = _SWITCHES.get(name, field.description)
        if 0 < len(of) < len(methods()):
            about += f"; only {' and '.join(of)}"
        how: dict[str, Any] = {}
        if field.annotation is bool:
            how = {"action": "store_true", "default": None}
        elif name in _SWITCHES:
            how = {"action": argparse.BooleanOptionalAction}
        parser.add_argument(flag(name), help=about, **how)


def named(given: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The options of these names; None for those that were not given."""
    return {name: getattr(given, name) for name in names}


def checked(kind: type[BaseModel], given: argparse.Namespace, lines: list[Message]) -> Any:
    """The options of `kind` that were given, checked. None, and the lines of their errors added to
    `lines`, where there are any."""
    fields = named(given, *kind.model_fields)
    options, wrong = validated(kind, {k: v for k, v in fields.items() if v is not None})
    lines += wrong
    return options


RUN_OPTIONS = [name for name in RunConfig.model_fields if name != "method"]


def _negative_values_joined(argv: Sequence[str]) -> list[str]:
    """["--beta", "-1e-3"] -> ["--beta=-1e-3"]: argparse takes such a value for an option."""
    joined: list[str] = []
    for token in argv:
        if joined and joined[-1].startswith("-") and token.startswith("-") and _is_number(token):
            joined[-1] += f"={token}"
        else:
            joined.append(token)
    return joined


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
