"""The command line: python -m align_core {tasks,train,evaluate,generate,score,…}.

Exit codes: 0 done, 2 invalid input (all errors are reported, nothing is written), 1 anything else.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from align_core.cli import embed, options, preferences, prepare, terminal, track
from align_core.cli import experiments as experiment_command
from align_core.cli import models as model_commands
from align_core.cli import runs as run_commands
from align_core.cli import task as task_command
from align_core.config import model_index
from align_core.config.environment import set_library_environment
from align_core.config.errors import (
    CODE_ERRORS,
    ConfigError,
    collect_errors,
    describe_error,
    flag,
    option_error,
    raise_collected,
    shown,
)
from align_core.config.fields import EXPECTED_SHARE
from align_core.config.messages import Message, plain
from align_core.config.methods import methods
from align_core.config.task_card import (
    EXPECTED,
    NAMES,
    as_row,
    card,
    is_code,
    known_card,
    unregistered_task,
)
from align_core.inference import in_process
from align_core.models import distributed
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory
from align_core.runs.stored_config import read_options
from align_core.tasks.loader import read_if_folder, resolve_task
from align_core.training import foreground, worker


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    set_library_environment()
    try:
        args, lines = _parsed(sys.argv[1:] if argv is None else argv)  # --help ends the process
    except ConfigError as error:
        return _refused(error)
    code = _executed(args, lines)
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # as with `| head`; Python would report it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _executed(args: argparse.Namespace, lines: list[Message]) -> int:
    try:
        return args.execute(args, lines)
    except BrokenPipeError:
        return 1
    except ConfigError as error:
        return _refused(error)
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        return 1
    except CODE_ERRORS as error:
        print(describe_error(error, Path.cwd()), file=sys.stderr)
        return 1


def _refused(error: ConfigError) -> int:
    """Print every error; returns the exit code of bad input."""
    print(error, file=sys.stderr)
    return 2


# Each command takes the parsed arguments and the errors so far, and returns the exit code.


def _tasks(args: argparse.Namespace, lines: list[Message]) -> int:
    names = [resolve_task({"task": task}, lines)["task"] for task in args.task or ()]
    lines += [
        option_error("--task", name, EXPECTED, "task") for name in names if card(name) is None
    ]
    raise_collected(lines)
    rows = [as_row(known_card(task)) for task in dict.fromkeys((*NAMES, *names))]
    if args.json:
        print(json.dumps(rows))
    else:
        print("\n".join(f"{row['name']:<10} {row['title']}. {row['explanation']}" for row in rows))
    return 0


def _train(args: argparse.Namespace, lines: list[Message]) -> int:
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


def _evaluate(args: argparse.Namespace, lines: list[Message]) -> int:
    names = ("task", "reference", "prompts", "samples", "coverage", "seed", "realign", "best_of")
    arguments = options.option_values(args, *names, "reward_model", "beta")
    result = in_process.evaluate(args.model, lines, **resolve_task(arguments, lines))
    terminal.print_measurements(result, args.json)
    return 0


def _generate(args: argparse.Namespace, lines: list[Message]) -> int:
    names = ("task", "n", "temperature", "seed", "realign", "best_of", "reward_model")
    arguments = resolve_task(options.option_values(args, *names), lines)
    rows = in_process.generate(args.model, args.prompt, lines, **arguments)
    terminal.print_rows(rows, args.json)
    return 0


def _score(args: argparse.Namespace, lines: list[Message]) -> int:
    arguments = resolve_task(options.option_values(args, "task"), lines)
    rows = in_process.score(args.model, args.prompt, args.completion, lines, **arguments)
    terminal.print_rows(rows, args.json)
    return 0


def _build_assets(args: argparse.Namespace, lines: list[Message]) -> int:
    if model_index.installed():
        lines.append(
            option_error(
                "COMMAND", "build-assets", "a checkout of the project, in which assets are built"
            )
        )
    raise_collected(lines)
    from align_core.build import assets

    assets.build()
    return 0


_COMMANDS: dict[str, tuple[Callable[[argparse.Namespace, list[Message]], int], str]] = {
    "tasks": (_tasks, "list the tasks"),
    "train": (_train, "train a model"),
    "evaluate": (_evaluate, "measure a model on held-out prompts"),
    "generate": (_generate, "sample texts from a model"),
    "score": (_score, "print rewards and log-probabilities of given completions"),
    "prepare": (prepare.execute, "sample a model on a task, so that its optimum is known"),
    "cache": (prepare.execute_cache, "list what `prepare` has stored, or delete it"),
    "runs": (run_commands.execute, "list or prune the runs of a folder"),
    "preferences": (preferences.execute, "simulate, export, import, analyse or delete votes"),
    "experiment": (
        experiment_command.execute,
        "repeat an experiment of a paper, on a model whose optimum is known",
    ),
    "task": (task_command.execute, "write or check a task in a folder without code"),
    "fetch": (model_commands.fetch, "fetch a pretrained model: smollm2"),
    "track": (track.execute, "send a recorded run to a tracker: trackio, wandb, …"),
    "export": (model_commands.export, "write the model of a run to a folder, with its card"),
    "embed": (embed.execute, "write a run as one HTML page, which needs no network"),
    "build-assets": (_build_assets, "rebuild the embedded models and data"),
}


def _commands_listed() -> list[Message]:
    return [plain(f"  {name:<13} {about}") for name, (_, about) in _COMMANDS.items()]


# Parsing the command line


def _parsed(argv: list[str]) -> tuple[argparse.Namespace, list[Message]]:
    """The parsed arguments and the errors of parsing.

    Raises:
        ConfigError: parsing cannot continue.
    """
    args, unknown = _parser().parse_known_args(argv)
    if args.command is None:
        raise ConfigError(option_error("COMMAND", None, "one of these:"), *_commands_listed())
    line = f"{' '.join(unknown)}: {args.command} has no such option"
    return args, [*args.invalid, *([plain(line)] if unknown else [])]


def _parser() -> argparse.ArgumentParser:
    installed_script = Path(sys.argv[0]).stem == "align-core"
    parser = options.Parser(prog="align-core" if installed_script else "python -m align_core")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    subs = {}
    for name, (execute, about) in _COMMANDS.items():
        subs[name] = commands.add_parser(name, help=about, description=about)
        subs[name].set_defaults(execute=execute)

    options.add_json(subs["tasks"])
    subs["tasks"].add_argument("--task", action="append", help=f"also list this task: {EXPECTED}")

    train = subs["train"]
    train.epilog = terminal.defaults_table()
    train.formatter_class = argparse.RawDescriptionHelpFormatter
    train.add_argument("method", nargs="?", metavar=f"{{{','.join(methods())}}}")
    train.add_argument(
        "--run-dir",
        metavar="DIR",
        help="a new folder for the run; required unless --resume is given",
    )
    train.add_argument("--config", metavar="FILE", help="options from the config.json of a run")
    train.add_argument(
        "--resume", metavar="DIR", help="resume a run that was stopped or interrupted"
    )
    options.add_run_options(train)
    track.add_report_to(train)
    options.add_json(train, "print the events instead of the progress bar")

    evaluate, generate, score = subs["evaluate"], subs["generate"], subs["score"]
    for sub in (evaluate, generate, score):
        sub.add_argument("model", metavar="MODEL", help=model_index.EXPECTED, nargs="?")
        sub.add_argument("--task", help=EXPECTED)
        options.add_json(sub)
    evaluate.add_argument("--reference", metavar="MODEL")
    evaluate.add_argument("--prompts", metavar="N")
    evaluate.add_argument("--samples", metavar="N", help=in_process.EXPECTED_SAMPLES)
    evaluate.add_argument(
        "--beta",
        metavar="B",
        help="the β of the optimum to which the distance is measured; by default the β of the run",
    )
    evaluate.add_argument(
        "--coverage",
        metavar="GROUPS",
        help="groups of prompts to report separately from the others",
    )
    evaluate.add_argument("--seed")
    generate.add_argument("--prompt", action="append", metavar="TEXT")
    generate.add_argument("-n", metavar="N", help="samples for each prompt")
    generate.add_argument("--temperature")
    generate.add_argument("--seed")
    for sub in (evaluate, generate):
        sub.add_argument(
            "--realign",
            metavar="LAMBDA",
            help="mix the policy with its reference at each token, as if trained with β/λ: "
            f"{EXPECTED_SHARE}",
        )
        sub.add_argument(
            "--best-of",
            metavar="N",
            help=f"keep the text with the highest reward of N: {in_process.EXPECTED_COUNT}",
        )
        sub.add_argument(
            "--reward-model",
            metavar="MODEL",
            help=f"the reward by which --best-of chooses: {in_process.EXPECTED_REWARD}",
        )
    score.add_argument("--prompt", metavar="TEXT")
    score.add_argument("--completion", action="extend", nargs="+", metavar="TEXT")
    prepare.add_arguments(subs["prepare"])
    prepare.add_cache_arguments(subs["cache"])
    preferences.add_arguments(subs["preferences"])
    experiment_command.add_arguments(subs["experiment"])
    task_command.add_arguments(subs["task"])
    run_commands.add_arguments(subs["runs"])
    model_commands.add_fetch_arguments(subs["fetch"])
    model_commands.add_export_arguments(subs["export"])
    track.add_arguments(subs["track"])
    embed.add_arguments(subs["embed"])
    return parser
