"""Options of commands: from a pydantic model to argparse, and from argparse to validated values.

argparse leaves all values as text; the pydantic model validates them, so that all errors are
reported together.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from pydantic import BaseModel

from align_core.config.errors import ConfigError, flag, listed, option_error
from align_core.config.messages import Message, plain
from align_core.config.methods import methods, methods_with
from align_core.config.run_config import RunConfig, expected, validated

# The help of these switches. That of any other option is the description of its RunConfig field.
_SWITCHES = {
    "freeze_trunk": "train the scalar head alone",
    "whiten_advantages": "shift and scale advantages to mean 0 and variance 1, or leave them in "
    "nats",
}


class Parser(argparse.ArgumentParser):
    """A parser that does not end the process.

    An option that cannot be parsed is left out, and its error is appended to the arguments' list
    `invalid`, so that the other options are also checked.

    Raises:
        ConfigError: parsing cannot continue.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, exit_on_error=False, **settings)

    def error(self, message: str) -> NoReturn:
        raise ConfigError(plain(message))

    def parse_known_args(  # type: ignore[override]  # a narrower signature
        self, argv: Sequence[str], namespace: Any = None
    ) -> Any:
        argv, invalid = _negative_values_joined(argv), []
        while True:
            try:
                args, unknown = super().parse_known_args(argv, namespace)
                break
            except argparse.ArgumentError as error:
                invalid.append(plain(str(error)))
                names = str(error.argument_name).split("/")
                places = [i for i, token in enumerate(argv) if token.partition("=")[0] in names]
                if not places:
                    raise ConfigError(*invalid) from None
                del argv[places[-1]]
        args.invalid = [*invalid, *getattr(args, "invalid", [])]  # errors of the subparser follow
        return args, unknown


def add_actions(
    parser: argparse.ArgumentParser, about: Mapping[str, str]
) -> dict[str, argparse.ArgumentParser]:
    """Add a subparser for each action, name -> description; returns name -> subparser."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    return {
        name: actions.add_parser(name, help=text, description=text) for name, text in about.items()
    }


def check_action(
    args: argparse.Namespace, about: Mapping[str, str], lines: Sequence[Message]
) -> None:
    """Raise a ConfigError with `lines` and the list of actions if no action was given."""
    if args.action is None:
        width = max(map(len, about))
        actions = [plain(f"  {name:<{width}}  {text}") for name, text in about.items()]
        raise ConfigError(*lines, option_error("ACTION", None, "one of these:"), *actions)


def add_json(parser: argparse.ArgumentParser, about: str = "print JSON") -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help=about)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each field of RunConfig except the method."""
    for name in RUN_OPTIONS:
        field, owners = RunConfig.model_fields[name], methods_with(name)
        about = _SWITCHES.get(name, expected(name, field))
        if 0 < len(owners) < len(methods()):
            about += f"; only {listed(owners)}"
        action: dict[str, Any] = {}
        if field.annotation is bool:
            action = {"action": "store_true", "default": None}
        elif name in _SWITCHES:
            action = {"action": argparse.BooleanOptionalAction}
        parser.add_argument(flag(name), help=about, **action)


def option_values(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Option -> its value, None if it was not given."""
    return {name: getattr(args, name) for name in names}


def checked(kind: type[BaseModel], args: argparse.Namespace, lines: list[Message]) -> Any:
    """The given options, validated as `kind`; None if invalid, with the errors appended to
    `lines`."""
    fields = option_values(args, *kind.model_fields)
    options, errors = validated(kind, {k: v for k, v in fields.items() if v is not None})
    lines += errors
    return options


RUN_OPTIONS = [name for name in RunConfig.model_fields if name != "method"]


def _negative_values_joined(argv: Sequence[str]) -> list[str]:
    """["--beta", "-1e-3"] -> ["--beta=-1e-3"]: argparse would mistake the value for an option."""
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
