"""Runs from scripts and notebooks, with the options and errors of the command line.

run = train("ppo", task="reviews", beta=0.7, steps=20, run_dir="runs/first")
run.metrics, run.samples(step=20), run.evaluate(), run.plot()
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_core.cli import terminal
from align_core.config.environment import set_library_environment
from align_core.config.errors import shown
from align_core.config.messages import Message
from align_core.config.run_config import RunConfig
from align_core.inference import in_process
from align_core.runs.directory import RunDirectory
from align_core.runs.events import FINAL, of_kind
from align_core.tasks.loader import resolve_task
from align_core.training import foreground

if TYPE_CHECKING:
    from pandas import DataFrame


def train(
    method: str,
    *,
    task: str | None = None,
    run_dir: str | Path | None = None,
    **options: Any,
) -> Run:
    """Train a model in this process, as `align-core train METHOD` does.

    Libraries are set up as for the command line: no telemetry, and no network unless
    HF_HUB_OFFLINE=0. A progress bar is displayed. Ctrl-C stops the run and saves the current model.

    Args:
        method, task: METHOD and `--task` of the command line.
        run_dir: a new or empty folder for the run.
        options: other options of the command, with `_` for `-`: `beta`, `learning_rate`.

    Raises:
        ConfigError: invalid input, with the messages of the command line; nothing is written.
        RuntimeError: the run failed; `load_run` gives access to what it wrote.
    """
    set_library_environment()
    options |= {"method": method, "task": task}
    options = {name: str(v) if isinstance(v, Path) else v for name, v in options.items()}
    lines: list[Message] = []
    directory = foreground.new_run(resolve_task(options, lines), run_dir, lines)
    if failure := foreground.execute(directory, terminal.Progress):
        raise RuntimeError(f"{directory.path}: {failure['message']}")
    return Run(RunDirectory.open(directory.path.resolve()))


def load_run(path: str | Path) -> Run:
    """The run in a folder, running or ended, however it was started.

    If its task is Python code, call `load_task("file.py")` before you query its model.

    Raises:
        ConfigError: there is no run in this folder, or it cannot be read.
    """
    set_library_environment()
    return Run(RunDirectory(RunDirectory.open(path).path.resolve()))


class Run:
    """A run on disk, which is read anew at every access."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory

    def __repr__(self) -> str:
        event = self._directory.status()
        status = event["status"] if event else "not begun"
        if event and status not in FINAL and not self._directory.is_being_written():
            status += " when its process ended"
        summary = f"{self.config.method} on {self.config.task}, {status}"
        return f"Run({str(self.path)!r}: {summary})"

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self._directory.path

    @property
    def config(self) -> RunConfig:
        """The settings with which the run started."""
        return self._directory.config

    @property
    def metrics(self) -> DataFrame:
        """The metrics of docs/metrics.md, a column for each, with a row for each step (the index).

        NaN where a metric was not measured. Steps that were lost because the run was resumed from
        an earlier checkpoint are left out.
        """
        import pandas

        rows: dict[int, dict[str, Any]] = {}
        for event in self._events("metrics"):
            row = rows.setdefault(event["step"], {})
            row |= {m: v for m, v in event["metrics"].items() if v is not None or m not in row}
        table = pandas.DataFrame.from_dict(rows, orient="index", dtype=float)
        return table.rename_axis("step").sort_index()

    def samples(self, step: int | None = None) -> list[dict[str, Any]]:
        """The samples of an evaluated step, by default the last: a dict for each probe prompt.

        Its keys are "prompt", "reference" and "policy"; the last two hold a dict with the `text`
        and its rewards in nats.

        Raises:
            ValueError: this step was not evaluated.
        """
        sampled = {event["step"]: event["samples"] for event in self._events("samples")}
        if step is None:
            step = max(sampled, default=None)
        if step not in [*sampled]:  # a list, because `step` may not be hashable
            raise ValueError(f"expected one of the steps {sorted(sampled)}, got {step}")
        return sampled[step]

    def evaluate(self, **options: Any) -> dict[str, Any]:
        """The metrics of `align-core evaluate --json` on held-out prompts.

        `options` are `reference`, `prompts`, `samples`, `coverage`, `seed`, `realign`, `best_of`,
        `reward_model` and `beta`.

        Raises:
            ConfigError: invalid input, or a run without a model.
        """
        return in_process.evaluate(str(self.path), [], **options)

    def generate(
        self, prompt: str | Sequence[str] | None = None, n: int = 4, **options: Any
    ) -> list[dict[str, Any]]:
        """`n` samples for each prompt, as `align-core generate --json` prints them.

        Without a prompt it uses the first of the task's probe prompts. `options` are `temperature`,
        `seed`, `realign`, `best_of` and `reward_model`.

        Raises:
            ConfigError: invalid input, or a run without a model.
        """
        return in_process.generate(str(self.path), prompt, [], n=n, **options)

    def score(self, prompt: str, completions: str | Sequence[str]) -> list[dict[str, Any]]:
        """Rewards and log-probabilities of each completion, as `align-core score --json` prints
        them.

        Raises:
            ConfigError: invalid input, or a run without a model.
        """
        return in_process.score(str(self.path), prompt, completions, [])

    def plot(self, *others: Run) -> Any:
        """A `plotly.graph_objects.Figure` like those of the page: gold reward over KL with the
        optimum's curve, and the charts of the method. `others` are drawn into the same charts.

        Raises:
            ModuleNotFoundError: plotly is not installed.
            ValueError: more than four runs, or runs of several tasks.
        """
        from align_core import plots

        runs = (self, *others)
        if wrong := [other for other in others if not isinstance(other, Run)]:
            raise ValueError(f"expected runs, as load_run returns them, got {shown(wrong[0])}")
        same_name = len({run.path.name for run in runs}) < len(runs)
        names = [str(run.path) if same_name else run.path.name for run in runs]
        return plots.figure(
            [
                plots.PlottedRun(name, run.config, run.metrics, run._changes())
                for name, run in zip(names, runs, strict=True)
            ]
        )

    def _changes(self) -> dict[int, dict[str, float]]:
        """Step -> the settings that were changed after it."""
        changes: dict[int, dict[str, float]] = {}
        for event in self._events("change"):
            changes.setdefault(event["step"], {}).update(event["settings"])
        return changes

    def _events(self, kind: str) -> list[dict[str, Any]]:
        return of_kind(self._directory.events()[0], kind)
