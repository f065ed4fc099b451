"""Fetching and exporting models: python -m align_core {fetch smollm2, export RUN OUT}."""

from __future__ import annotations

import argparse
import sys

from align_core.config.errors import describe_error, option_error, raise_collected
from align_core.config.messages import Message
from align_core.config.model_index import (
    SMOLLM2,
    SMOLLM2_HUB_ID,
    SMOLLM2_LICENCE,
    fetched_folder,
)


def add_fetch_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the name of the model."""
    parser.add_argument("name", metavar="NAME", nargs="?", help=SMOLLM2)


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run and the folder."""
    parser.add_argument("run", metavar="RUN", nargs="?", help="a run directory")
    parser.add_argument("out", metavar="OUT", nargs="?", help="a new or empty folder")


def fetch(args: argparse.Namespace, lines: list[Message]) -> int:
    """Fetch a model, unless it is there already; returns the exit code.

    Raises:
        ConfigError: there is no such model to fetch.
    """
    if args.name != SMOLLM2:
        lines.append(option_error("NAME", args.name, SMOLLM2))
    raise_collected(lines)
    folder = fetched_folder(SMOLLM2)
    if folder.is_dir():
        print(f"{SMOLLM2} is in {folder}")
        return 0
    from align_core.models import fetching

    try:
        weights = fetching.fetch_smollm2(lambda line: print(line, file=sys.stderr, flush=True))
    except fetching.FetchError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:
        print(describe_error(error, folder), file=sys.stderr)
        return 1
    print(f"{SMOLLM2} is in {folder}: {SMOLLM2_HUB_ID}, licence {SMOLLM2_LICENCE}; {weights}")
    return 0


def export(args: argparse.Namespace, lines: list[Message]) -> int:
    """Export the model of a run; returns the exit code.

    Raises:
        ConfigError: invalid input; nothing is written.
    """
    lines += [
        option_error(name, None, expected)
        for name, value, expected in (
            ("RUN", args.run, "a run directory"),
            ("OUT", args.out, "a new or empty folder"),
        )
        if value is None
    ]
    raise_collected(lines)
    from align_core.models import export as exporting

    try:
        exporting.export(args.run, args.out)
    except OSError as error:
        print(describe_error(error, args.out), file=sys.stderr)
        return 1
    print(f"wrote the model of {args.run} to {args.out}, with its card in README.md")
    return 0
