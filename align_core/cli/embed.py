"""The command `embed`: python -m align_core embed RUN OUT.html."""

from __future__ import annotations

import argparse
from pathlib import Path

from align_core.config.errors import collect_errors, option_error, raise_collected
from align_core.config.messages import Message
from align_core.embed.page import LANGUAGES, embedded_run
from align_core.runs import presets
from align_core.runs.directory import RunDirectory
from align_core.runs.files import write_atomically

_RUN = "a run directory, or the name of a preset"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run, the file and the language."""
    parser.add_argument("run", metavar="RUN", nargs="?", help=_RUN)
    parser.add_argument("out", metavar="OUT", nargs="?", help="the HTML file to write")
    parser.add_argument("--lang", default=LANGUAGES[0], help="; ".join(LANGUAGES))


def execute(args: argparse.Namespace, lines: list[Message]) -> int:
    """Write a run as one HTML page; returns the exit code.

    Raises:
        ConfigError: invalid input, or plotly is not installed; nothing is written.
    """
    if args.run is None:
        lines.append(option_error("RUN", None, _RUN))
    out = Path(args.out or "")
    if args.out is None or out.is_dir() or not out.parent.is_dir():
        lines.append(option_error("OUT", args.out, "an HTML file in a folder that exists"))
    if args.lang not in LANGUAGES:
        lines.append(option_error("--lang", args.lang, " or ".join(LANGUAGES)))
    raise_collected(lines)
    is_preset = args.run in presets.names() and not Path(args.run).exists()
    run = presets.load(args.run).recording if is_preset else args.run
    with collect_errors(lines):
        page = embedded_run(RunDirectory.open(run, option="RUN"), args.lang)
    raise_collected(lines)
    write_atomically(out, page)
    print(f"wrote the run {args.run} to {out}; the page needs no network")
    return 0
