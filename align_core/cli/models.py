"""Models to and from elsewhere: python -m align_core fetch smollm2."""

from __future__ import annotations

import argparse
import sys

from align_core.config.errors import option_error, raise_collected
from align_core.config.messages import Message
from align_core.config.model_index import SMOLLM2, fetched_folder


def add_fetch_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the name of the model."""
    parser.add_argument("name", metavar="NAME", nargs="?", help=SMOLLM2)


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
    print(f"{SMOLLM2} is in {folder}: {fetching.HUB_ID}, licence {fetching.LICENCE}; {weights}")
    return 0
