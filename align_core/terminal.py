"""What the command line shows: a progress bar, event lines, tables."""

from __future__ import annotations

import sys
from typing import Any

from align_core.runs import to_line


class Progress:
    """The progress bar of a run: steps, reward, KL, loss, time left."""

    _SHOWN = {
        "reward": ("eval/gold_reward", "objective/scores"),
        "KL": ("eval/kl", "objective/kl"),
        "loss": ("loss",),
    }

    def __init__(self, steps: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=steps, unit="step", dynamic_ncols=True, file=sys.stderr)
        self._values: dict[str, str] = {}

    def event(self, event: dict[str, Any]) -> None:
        """Show the event."""
        if event["kind"] == "resume":
            self._bar.initial = event["step"]
        if event["kind"] in ("resume", "metrics"):
            self._bar.n = event["step"]
        if event["kind"] == "status":
            self._bar.set_description(event["message"])
        metrics = event.get("metrics", {})
        for label, names in self._SHOWN.items():
            value = next((metrics[name] for name in names if metrics.get(name) is not None), None)
            if value is not None:
                self._values[label] = f"{value:.2f}"
        self._bar.set_postfix(self._values)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


class Lines:
    """The events of a run as they are written, on standard output."""

    def event(self, event: dict[str, Any]) -> None:
        """Print the event."""
        print(to_line(event), flush=True)

    def close(self) -> None:
        """Nothing is left open."""


def print_measurements(result: dict[str, Any], as_json: bool) -> None:
    """One line for each number, with its 95% confidence interval where there is one."""
    if as_json:
        print(to_line(result))
        return
    for name, value in result.items():
        if not name.endswith("_ci95"):
            half_width = result.get(f"{name}_ci95")
            interval = "" if half_width is None else f" ± {_shown(half_width)}"
            print(f"{name:<22} {_shown(value)}{interval}")


def print_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    """A table of the values that fit one; the JSON has the per-token lists too."""
    if as_json:
        print(to_line(rows))
        return
    names = [name for name, value in rows[0].items() if not isinstance(value, list | dict)]
    cells = [names] + [[_shown(row[name]) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(map(str.ljust, line, widths)).rstrip())


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
