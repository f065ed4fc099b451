"""What the command line shows: a progress bar, event lines, tables."""

from __future__ import annotations

import sys
from typing import Any

from align_core.config.errors import flag
from align_core.config.methods import methods
from align_core.config.run_config import defaults
from align_core.config.task_card import BUILT_IN
from align_core.runs.directory import to_line


class Progress:
    """The progress bar of a run: steps, time left, and the last numbers known.

    What the evaluation found, on its prompts, stands apart from what the rollouts of a step earned.
    """

    _SHOWN = {
        "eval gold": "eval/gold_reward",
        "eval KL": "eval/kl",
        "eval accuracy": "eval/accuracy",
        "rollout score": "objective/scores",
        "rollout KL": "objective/kl",
        "loss": "loss",
    }

    def __init__(self, steps: int) -> None:
        from tqdm import tqdm

        told = {"desc": "loading the models", "unit": "step", "dynamic_ncols": True}
        self._bar = tqdm(total=steps, file=sys.stderr, **told)
        self._values: dict[str, str] = {}

    def event(self, event: dict[str, Any]) -> None:
        """Show the event."""
        if event["kind"] == "resume":
            self._bar.initial = event["step"]
        if event["kind"] in ("resume", "metrics"):
            self._bar.n = event["step"]
        if event["kind"] == "status":
            running = event["status"] == "running"
            if event.get("cause", {}).get("kind") == "reward_scale":  # it stays to be read
                self._bar.write(event["message"], file=sys.stderr)
                return
            about = event["message"] or ("" if self._values else "measuring the reference")
            self._bar.set_description(about if running else event["status"])
        metrics = event.get("metrics", {})
        if metrics:
            self._bar.set_description()
        for label, name in self._SHOWN.items():
            if metrics.get(name) is not None:
                self._values[label] = f"{metrics[name]:.2f}"
        known = (f"{label} {self._values[label]}" for label in self._SHOWN if label in self._values)
        self._bar.set_postfix_str(", ".join(known))

    def stopping(self) -> None:
        """Say that the run was told to stop: what it is at, it finishes first."""
        self._bar.set_description("stopping")

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


class Parts:
    """The progress bar of an experiment: how many of its runs are done, and the time left."""

    def __init__(self, name: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(desc=name, unit="run", dynamic_ncols=True, file=sys.stderr)

    def done(self, done: int, count: int) -> None:
        """Show that so many are; those that were there already take no part in the time left."""
        if self._bar.total is None:
            self._bar.total, self._bar.initial = count, done
        self._bar.n = done
        self._bar.refresh()

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


class Lines:
    """The events of a run as they are written, on standard output."""

    def event(self, event: dict[str, Any]) -> None:
        """Print the event."""
        print(to_line(event), flush=True)

    def stopping(self) -> None:
        """The event of the stop follows when it has stopped."""

    def close(self) -> None:
        """Nothing is left open."""


def defaults_table() -> str:
    """The defaults of `train`, a column a method; where tasks differ, one after the other."""
    found = {(method, task): defaults(method, task) for method in methods() for task in BUILT_IN}

    def cell(option: str, method: str) -> str:
        shown = [
            "–"
            if (value := found[method, task].get(option)) is None
            # "sft-reviews / sft-capitals" is told in fewer words.
            else f"{value}".replace(task, "TASK")
            for task in BUILT_IN
        ]
        return " / ".join(dict.fromkeys(shown))

    options = dict.fromkeys(
        option
        for row in found.values()
        for option, value in row.items()
        if value is not None and value is not False
    )
    rows = [["", *methods()]]
    rows += [[flag(o), *(cell(o, method) for method in methods())] for o in options]
    tasks = " / ".join(BUILT_IN)
    return f"defaults on {tasks} (–: the method has no such option):\n" + _table(rows)


def print_measurements(result: dict[str, Any], as_json: bool) -> None:
    """One line for each number, with its 95% confidence interval where there is one."""
    if as_json:
        print(to_line(result))
        return
    width = max(22, *(len(name) for name in result if not name.endswith("_ci95")))
    for name, value in result.items():
        if not name.endswith("_ci95"):
            half_width = result.get(f"{name}_ci95")
            interval = "" if half_width is None else f" ± {_shown(half_width)}"
            print(f"{name:<{width}} {_shown(value)}{interval}")


def print_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    """A table of the values that fit one; the JSON has the per-token lists too."""
    if as_json:
        print(to_line(rows))
        return
    names = [name for name, value in rows[0].items() if not isinstance(value, list | dict)]
    cells = [names] + [[_shown(row[name]) for name in names] for row in rows]
    print(_table(cells))


def _table(cells: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def _shown(value: Any) -> str:
    if value is None or value != value:  # NaN
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
