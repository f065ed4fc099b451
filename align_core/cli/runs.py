"""The command `runs`: python -m align_core runs {list,prune}."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path

from align_core.cli.options import add_actions, add_json, check_action
from align_core.config.errors import describe_error, option_error, raise_collected
from align_core.config.messages import Message, plain
from align_core.runs.pruning import DAY, StoredRun, delete, stored_runs, to_prune

_ABOUT = {
    "list": "list the runs of a folder, with their size on disk",
    "prune": "delete runs that are old, or the oldest until the others fit a size",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    for name, action in add_actions(parser, _ABOUT).items():
        action.add_argument(
            "--runs-dir", metavar="DIR", default="runs", help="the folder (default: runs)"
        )
        if name == "list":
            add_json(action)
            continue
        action.add_argument("--days", metavar="N", help="delete runs that ended over N days ago")
        action.add_argument(
            "--megabytes", metavar="N", help="delete the oldest until the others take at most N MB"
        )
        action.add_argument("--yes", action="store_true", help="delete, instead of only listing")


def execute(args: argparse.Namespace, lines: list[Message]) -> int:
    """List the runs, or delete some; returns the exit code.

    Raises:
        ConfigError: one message for every error.
    """
    check_action(args, _ABOUT, lines)
    root = Path(args.runs_dir)
    if not root.is_dir():
        lines.append(option_error("--runs-dir", args.runs_dir, "a folder of runs"))
    if args.action == "list":
        raise_collected(lines)
        _list(stored_runs(root), args.json)
        return 0
    days = _number("--days", args.days, lines)
    megabytes = _number("--megabytes", args.megabytes, lines)
    if args.days is args.megabytes is None:
        lines.append(plain("expected --days, --megabytes or both, got neither"))
    raise_collected(lines)
    max_bytes = None if megabytes is None else megabytes * 1e6
    return _prune(to_prune(stored_runs(root), days, max_bytes), args.yes)


def _number(option: str, text: str | None, lines: list[Message]) -> float | None:
    """The option's number; an error is appended to `lines` unless it is finite and 0 or more."""
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        lines.append(option_error(option, text, "a number, 0 or more"))
    return number


def _list(runs: list[StoredRun], as_json: bool) -> None:
    if as_json:
        print(json.dumps([run.as_row() for run in runs]))
        return
    for run in runs:
        print(_line(run))
    print(_total(runs))


def _prune(runs: list[StoredRun], confirmed: bool) -> int:
    """Print the runs and, if `confirmed`, delete them; returns the exit code."""
    for run in runs:
        if confirmed:
            try:
                delete(run)
            except OSError as error:
                print(describe_error(error, run.path), file=sys.stderr)
                return 1
        print(_line(run))
    print(_total(runs), "deleted" if confirmed else "would be deleted with --yes", sep=", ")
    return 0


def _total(runs: list[StoredRun]) -> str:
    size = sum(run.size for run in runs) / 1e6
    return f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}, {size:.1f} MB"


def _line(run: StoredRun) -> str:
    status = "live" if run.live else run.status or "not begun"
    days = (time.time() - run.ended) / DAY
    text = f"{run.size / 1e6:8.1f} MB  {days:6.1f} days  {run.path.name}"
    return f"{text}  {run.method} on {run.task}, {status} at step {run.step}"
