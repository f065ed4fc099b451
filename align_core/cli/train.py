"""The command `train`: python -m align_core train METHOD."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

from align_core.cli import options, terminal, track
from align_core.config.errors import (
    ConfigError,
    collect_errors,
    flag,
    option_error,
    raise_collected,
    shown,
)
from align_core.config.messages import Message, plain
from align_core.config.methods import methods
from align_core.config.task_card import card, is_code, unregistered_task
from align_core.models import distributed
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory
from align_core.runs.stored_config import read_options
from align_core.tasks.loader import read_if_folder, resolve_task
from align_core.training import foreground, worker


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the method, the options of a run, and where it is written."""
    parser.epilog = terminal.defaults_table()
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("method", nargs="?", metavar=f"{{{','.join(methods())}}}")
    parser.add_argument(
        "--run-dir",
        metavar="DIR",
        help="a new folder for the run; required unless --resume is given",
    )
    parser.add_argument("--config", metavar="FILE", help="options from the config.json of a run")
    parser.add_argument(
        "--resume", metavar="DIR", help="resume a run that was stopped or interrupted"
    )
    options.add_run_options(parser)
    track.add_report_to(parser)
    options.add_json(parser, "print the events instead of the progress bar")


def execute(args: argparse.Namespace, lines: list[Message]) -> int:
    """Train a model; returns the exit code.

    Raises:
        ConfigError: one message for every error; nothing is written.
    """
    vars(args).update(resolve_task(options.option_values(args, "task", "coverage"), lines))
    if distributed.launched_alone():
        distributed.relaunch_with_torchrun()
    if distributed.RANK > 0:
        return _train_silently(args, lines)
    if args.report_to is not None:
        track.check("--report-to", args.report_to, lines)
    directory = (_new_run if args.resume is None else _resumable)(args, lines)

    def make_display(steps: int) -> foreground.Display:
        display = terminal.EventLines() if args.json else terminal.Progress(steps)
        if args.report_to is None:
            return display
        return track.Reporting(display, args.report_to, directory)

    failure = foreground.execute(directory, make_display, resume=args.resume is not None)
    if failure is not None:
        print(f"{directory.path}: {failure['message']}", file=sys.stderr)
        return 1
    if not args.json:
        status = directory.status() or {"status": "finished"}
        print(f"{status['status']}; the model is in {directory.model_path}")
    return 0


def _train_silently(args: argparse.Namespace, lines: list[Message]) -> int:
    """Train in a process of rank above 0; only rank 0 writes the run and prints."""
    raise_collected(lines)
    path = Path(args.run_dir if args.resume is None else args.resume)
    distributed.wait_for_file(path / "config.json")
    directory, control = RunDirectory(path, writes=False), Control()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: control.put({"command": "stop"}))
    failure = worker.execute(directory, control, resume=args.resume is not None)
    return 0 if failure is None else 1


def _new_run(args: argparse.Namespace, lines: list[Message]) -> RunDirectory:
    config: dict[str, Any] = {}
    if args.config is not None:
        with collect_errors(lines):
            config |= read_options(args.config, "--config")
    overrides = options.option_values(args, "method", *options.RUN_OPTIONS)
    config |= {name: value for name, value in overrides.items() if value is not None}
    return foreground.new_run(config, args.run_dir, lines)


def _resumable(args: argparse.Namespace, lines: list[Message]) -> RunDirectory:
    if any(line.values.get("option") == "--task" for line in lines):
        raise ConfigError(*lines)  # an invalid task cannot be compared with the task of the run
    for name in ("method", "config", "run_dir", *options.RUN_OPTIONS):
        is_task_code = name == "task" and is_code(args.task)
        if (value := getattr(args, name)) is not None and not is_task_code:
            line = f"{flag(name)} got {shown(value)}; with --resume a run keeps its own options"
            lines.append(plain(line))
    with collect_errors(lines):
        directory = RunDirectory.open(args.resume, option="--resume")
        status = directory.status()
        if directory.is_being_written():
            lines.append(option_error("--resume", args.resume, "a run that is not already running"))
        elif status is not None and status["status"] == "finished":
            lines.append(option_error("--resume", args.resume, "a run that has not finished"))
        task = directory.config.task
        if is_code(args.task) and args.task != task:
            lines.append(option_error("--task", args.task, f"{task}, the task of this run"))
        elif card(read_if_folder(task, lines)) is None:
            lines.append(unregistered_task(task))
    raise_collected(lines)
    return directory
