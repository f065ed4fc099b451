"""The command `task`, for tasks in folders: python -m align_core task {new,check} FOLDER."""

from __future__ import annotations

import argparse
from pathlib import Path

from align_core.cli.options import add_actions, check_action
from align_core.config.errors import ConfigError, option_error, raise_collected
from align_core.config.messages import Message
from align_core.config.paths import user_path
from align_core.tasks.folder import example
from align_core.tasks.folder.contents import SPLITS, read

_ABOUT = {
    "new": "write a small working task to a new or empty folder",
    "check": "report all errors of a task in a folder",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their folder."""
    for action in add_actions(parser, _ABOUT).values():
        action.add_argument("folder", metavar="FOLDER", nargs="?")


def execute(args: argparse.Namespace, lines: list[Message]) -> int:
    """Execute an action; returns the exit code.

    Raises:
        ConfigError: one message for every error.
    """
    check_action(args, _ABOUT, lines)
    if args.folder is None:
        lines.append(option_error("FOLDER", None, "a folder"))
    raise_collected(lines)
    try:
        folder = user_path(args.folder)
    except ValueError as error:
        expected = f"the path of a folder: {error}"
        raise ConfigError(option_error("FOLDER", args.folder, expected)) from None
    if args.action == "new":
        example.write_new(folder, "FOLDER")
        print(f"wrote a task to {folder}; check it with: align-core task check {folder}")
    elif not folder.is_dir():
        raise ConfigError(option_error("FOLDER", args.folder, "a folder with a task.toml"))
    else:
        print(_summary(folder))
    return 0


def _summary(folder: Path) -> str:
    """One line on the contents of a task's folder."""
    task = read(folder)
    counts = [f"{len(task.splits[split])} {split}" for split in SPLITS]
    parts = [f"{task.file.title}: {', '.join(counts)} prompts"]
    for name, rows in (("pairs", task.preferences), ("demonstrations", task.demonstrations)):
        if rows is not None:
            parts.append(f"{len(rows)} {name}")
    rewards = ", ".join(part.label for part in task.file.reward)
    return "; ".join([*parts, f"reward: {rewards or 'not known'}"])
