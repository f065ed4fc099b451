"""Runs in experiment trackers: `train --report-to NAME` during a run, `track RUN --to NAME` later.

A tracker gets the run's configuration, its metrics by step, and tables of its samples; paths in the
configuration are cut to their last part. The libraries of the trackers are optional dependencies.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from pathlib import Path, PurePath
from typing import Any

from align_core.config.errors import collect_errors, describe_error, option_error, raise_collected
from align_core.config.messages import Message
from align_core.runs.directory import RunDirectory
from align_core.runs.events import replay
from align_core.training.foreground import Display

PROJECT = "alignment-playground"
ROWS = 16  # the largest number of rows in a table of samples
NAMES = ("trackio", "wandb", "swanlab", "tensorboard")
_COLUMNS = ("prompt", "reference", "policy", "reference gold reward", "policy gold reward")

Row = tuple[Any, ...]


class Tracker:
    """Sends the events of a run to one of the libraries."""

    def __init__(self, name: str, directory: RunDirectory) -> None:
        self._name = name
        config = _without_paths(directory.config.model_dump(mode="json"))
        run = directory.path.resolve().name
        if name == "tensorboard":
            writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter
            self._library = writer(str(directory.path / "tensorboard"))
            self._library.add_text("config", _markdown([("option", "value"), *config.items()]), 0)
            return
        self._library = importlib.import_module(name)
        name_argument = "experiment_name" if name == "swanlab" else "name"
        self._library.init(project=PROJECT, config=config, **{name_argument: run})

    def event(self, event: dict[str, Any]) -> None:
        """Send an event of metrics or samples."""
        step = event["step"]
        if event["kind"] == "metrics":
            values = {key: value for key, value in event["metrics"].items() if value is not None}
            if self._name != "tensorboard":
                self._library.log(values, step=step)
                return
            for key, value in values.items():
                self._library.add_scalar(key, value, step)
        elif event["kind"] == "samples":
            rows = [_row(sample) for sample in event["samples"][:ROWS]]
            if self._name == "tensorboard":
                self._library.add_text("samples", _markdown([_COLUMNS, *rows]), step)
            else:
                self._library.log({"samples": self._table(rows)}, step=step)

    def _table(self, rows: list[Row]) -> Any:
        if self._name == "wandb":
            return self._library.Table(columns=[*_COLUMNS], data=rows)
        if self._name == "swanlab":
            return self._library.Text(_markdown([_COLUMNS, *rows]))
        import pandas

        return self._library.Table(dataframe=pandas.DataFrame(rows, columns=[*_COLUMNS]))

    def close(self) -> None:
        """Send what is left."""
        self._library.close() if self._name == "tensorboard" else self._library.finish()


class Reporting:
    """A display that also sends the events to a tracker, until the tracker fails."""

    def __init__(self, display: Display, name: str, directory: RunDirectory) -> None:
        self._display, self._name = display, name
        self._tracker: Tracker | None = Tracker(name, directory)

    def event(self, event: dict[str, Any]) -> None:
        """Display the event, and send it."""
        self._display.event(event)
        self._send("event", event)

    def stopping(self) -> None:
        """Display that the run will stop."""
        self._display.stopping()

    def close(self) -> None:
        """End the display, and the tracker's run."""
        self._display.close()
        self._send("close")

    def _send(self, method: str, *arguments: Any) -> None:
        if self._tracker is None:
            return
        try:
            getattr(self._tracker, method)(*arguments)
        except Exception as error:  # no error of the library or the network may end the run
            self._tracker = None
            line = describe_error(error, Path.cwd())
            print(f"--report-to {self._name} ended, the run continues: {line}", file=sys.stderr)


def check(option: str, name: str | None, lines: list[Message]) -> None:
    """Append an error if there is no such tracker, or if its library is not installed."""
    if name not in NAMES:
        lines.append(option_error(option, name, " or ".join(NAMES)))
    elif not _installed(name):
        line = f"a library that is installed; pip install {name}"
        lines.append(option_error(option, name, line))


def _installed(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


def add_report_to(parser: argparse.ArgumentParser) -> None:
    """Add --report-to."""
    about = f"also send the run to a tracker: {', '.join(NAMES)}"
    parser.add_argument("--report-to", metavar="NAME", help=about)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run and --to."""
    parser.add_argument("run", metavar="RUN", nargs="?", help="a run directory")
    parser.add_argument("--to", metavar="NAME", help=", ".join(NAMES))


def execute(args: argparse.Namespace, lines: list[Message]) -> int:
    """Send a recorded run to a tracker; returns the exit code.

    Raises:
        ConfigError: there is no such run or tracker.
    """
    check("--to", args.to, lines)
    directory = None
    with collect_errors(lines):
        directory = RunDirectory.open(args.run, option="RUN")
    raise_collected(lines)
    assert directory is not None  # else there was an error
    events = replay(directory.events()[0])
    tracker = Tracker(args.to, directory)
    for event in events:
        tracker.event(event)
    tracker.close()
    sent = sum(event["kind"] in ("metrics", "samples") for event in events)
    print(f"sent {sent} events of {directory.path.resolve().name} to {args.to}")
    return 0


def _row(sample: dict[str, Any]) -> Row:
    texts = sample["reference"], sample["policy"]
    return (
        sample["prompt"],
        *(text["text"] for text in texts),
        *(text.get("gold_reward") for text in texts),
    )


def _markdown(rows: list[Row]) -> str:
    """Rows as a Markdown table, the first one as its head; "|" in a cell is escaped."""
    lines = [
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
        for row in rows
    ]
    return "\n".join([lines[0], "| --- " * len(rows[0]) + "|", *lines[1:]])


def _without_paths(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration, with absolute paths cut to their last part."""
    return {
        name: PurePath(value).name
        if isinstance(value, str) and Path(value).is_absolute()
        else value
        for name, value in config.items()
    }
