"""The command line: python -m align_core {tasks,train,evaluate,generate,score,…}.

Exit codes: 0 done, 2 invalid input (all errors are reported, nothing is written), 1 anything else.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from align_core.cli import embed, options, preferences, prepare, questions, track, train
from align_core.cli import experiments as experiment_command
from align_core.cli import models as model_commands
from align_core.cli import runs as run_commands
from align_core.cli import task as task_command
from align_core.config import model_index
from align_core.config.environment import set_library_environment
from align_core.config.errors import (
    CODE_ERRORS,
    ConfigError,
    describe_error,
    option_error,
    raise_collected,
)
from align_core.config.messages import Message, plain
from align_core.config.task_card import (
    EXPECTED,
    NAMES,
    as_row,
    card,
    known_card,
)
from align_core.tasks.loader import resolve_task


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
    "train": (train.execute, "train a model"),
    "evaluate": (questions.evaluate, "measure a model on held-out prompts"),
    "generate": (questions.generate, "sample texts from a model"),
    "score": (questions.score, "print rewards and log-probabilities of given completions"),
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

    train.add_arguments(subs["train"])
    questions.add_evaluate_arguments(subs["evaluate"])
    questions.add_generate_arguments(subs["generate"])
    questions.add_score_arguments(subs["score"])
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
