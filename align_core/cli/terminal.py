"""Output of the command line: progress bars, event lines, tables."""

from __future__ import annotations

import sys
from typing import Any

from align_core.config.errors import flag
from align_core.config.methods import methods
from align_core.config.run_config import RunConfig, defaults
from align_core.config.task_card import BUILT_IN
from align_core.runs.json_lines import to_line


class Progress:
    """The progress bar of a run: steps, time left, and the latest metrics.

    Metrics of evaluations and of rollouts, which are on different prompts, have different labels.
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

        options = {"desc": "loading the models", "unit": "step", "dynamic_ncols": True}
        self._bar = tqdm(total=steps, file=sys.stderr, **options)
        self._values: dict[str, str] = {}

    def event(self, event: dict[str, Any]) -> None:
        """Update the bar."""
        if event["kind"] == "resume":
            self._bar.initial = event["step"]
        if event["kind"] in ("resume", "metrics"):
            self._bar.n = event["step"]
        if event["kind"] == "status":
            running = event["status"] == "running"
            if event.get("cause", {}).get("kind") == "reward_scale":  # kept above the bar
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
        """Display that the run will stop, after its current step."""
        self._bar.set_description("stopping")

    def close(self) -> None:
        """Close the bar, leaving it visible."""
        self._bar.close()


class ExperimentProgress:
    """The progress bar of an experiment: the number of finished runs, and the time left."""

    def __init__(self, name: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(desc=name, unit="run", dynamic_ncols=True, file=sys.stderr)

    def done(self, done: int, count: int) -> None:
        """Display that `done` of `count` runs are finished.

        Runs that were finished before the first call do not enter the estimate of the time left.
        """
        if self._bar.total is None:
            self._bar.total, self._bar.initial = count, done
        self._bar.n = done
        self._bar.refresh()

    def close(self) -> None:
        """Close the bar, leaving it visible."""
        self._bar.close()


class EventLines:
    """A display that prints the events of a run as lines of JSON."""

    def event(self, event: dict[str, Any]) -> None:
        """Print the event."""
        print(to_line(event), flush=True)

    def stopping(self) -> None:
        """Print nothing: the final event follows."""

    def close(self) -> None:
        """Do nothing."""


def defaults_table() -> str:
    """The defaults of `train` as a table with a column for each method; "a / b" if tasks differ."""
    common = {name: RunConfig.model_fields[name].default for name in ("seed", "lora_r")}
    values = {
        (method, task): defaults(method, task) | common for method in methods() for task in BUILT_IN
    }

    def cell(option: str, method: str) -> str:
        shown = [
            "–"
            if (value := values[method, task].get(option)) is None
            # "sft-TASK" is shorter than "sft-reviews / sft-capitals".
            else f"{value}".replace(task, "TASK")
            for task in BUILT_IN
        ]
        return " / ".join(dict.fromkeys(shown))

    options = dict.fromkeys(
        option
        for row in values.values()
        for option, value in row.items()
        if value is not None and value is not False
    )
    rows = [["", *methods()]]
    rows += [[flag(o), *(cell(o, method) for method in methods())] for o in options]
    tasks = " / ".join(BUILT_IN)
    return f"defaults on {tasks} (–: the method has no such option):\n" + _table(rows)


def print_measurements(result: dict[str, Any], as_json: bool) -> None:
    """Print a line for each number, with its 95% interval if there is one; or JSON."""
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
    """Print a table without the values that are lists or dicts, or all values as JSON."""
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
