"""The command `experiment`: python -m align_core experiment NAME."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from pydantic import BaseModel, Field

from align_core import experiments
from align_core.cli import terminal
from align_core.cli.options import add_json
from align_core.config.errors import ConfigError, option_error
from align_core.config.fields import Int
from align_core.config.messages import Message
from align_core.config.run_config import validated

NO_EVIDENCE = "The experiment works. The verdicts below are no evidence: a quick run is too small."


class _Options(BaseModel):
    lanes: Int = Field(ge=1, le=256, description="a whole number of runs at a time from 1 to 256")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the name of an experiment and its options."""
    parser.add_argument("name", nargs="?", metavar=f"{{{','.join(experiments.NAMES)}}}")
    parser.add_argument(
        "--run-dir",
        metavar="DIR",
        help="the folder of its runs, from which it resumes (default runs/lab/NAME)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="only check that it works, in half a minute"
    )
    parser.add_argument("--lanes", metavar="N", help="runs at a time (default: one for each core)")
    add_json(parser)


def execute(args: argparse.Namespace, lines: list[Message]) -> int:
    """Run an experiment, or resume one that was interrupted; returns the exit code.

    Raises:
        ConfigError: one message for every error.
    """
    options, errors = validated(_Options, {"lanes": args.lanes or os.cpu_count()})
    if args.name not in experiments.NAMES:
        expected = f"one of {', '.join(experiments.NAMES)}"
        lines.append(option_error("NAME", args.name, expected))
    if options is None or lines:
        raise ConfigError(*lines, *errors)
    from align_core.experiments import runner
    from align_core.experiments.claims import conclusions

    default = f"runs/lab/{args.name}{'-quick' if args.quick else ''}"
    folder = Path(args.run_dir or default)
    progress = terminal.ExperimentProgress(args.name)
    try:
        result = runner.run(
            args.name, folder, quick=args.quick, lanes=options.lanes, on_part=progress.done
        )
    finally:
        progress.close()
    if args.json:
        print(json.dumps(result))
    else:
        if args.quick:
            print(NO_EVIDENCE)
        print("\n".join(conclusions(experiments.load(args.name), result)))
        print(f"the result is in {folder / 'result.json'}")
    return 0
