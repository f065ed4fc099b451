"""Runs from scripts and notebooks: the command line's runs, options and errors.

run = train("ppo", task="reviews", beta=0.7, steps=20, run_dir="runs/first")
run.metrics, run.samples(step=20), run.evaluate(), run.plot()
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from align_core.cli import terminal
from align_core.config.environment import set_library_environment
from align_core.config.messages import Message
from align_core.config.run_config import RunConfig
from align_core.inference import in_process
from align_core.runs.directory import RunDirectory
from align_core.runs.events import of_kind
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
    HF_HUB_OFFLINE=0. It shows a progress bar. Ctrl-C stops the run and keeps the model as it is
    then.

    Args:
        method, task: what METHOD and `--task` take.
        run_dir: a new or empty folder; all of the run goes there.
        options: the further options of the command, with `_` for `-`: `beta`, `learning_rate`.

    Raises:
        ConfigError: bad input, with the lines of the command line; nothing is written.
        RuntimeError: the run failed; `load_run` has what it came to.
    """
    set_library_environment()
    given = {"method": method, "task": task, **options}
    given = {name: str(v) if isinstance(v, Path) else v for name, v in given.items()}
    lines: list[Message] = []
    directory = foreground.new_run(resolve_task(given, lines), run_dir, lines)
    if failure := foreground.execute(directory, terminal.Progress):
        raise RuntimeError(f"{directory.path}: {failure['message']}")
    return Run(RunDirectory.open(directory.path.resolve()))


def load_run(path: str | Path) -> Run:
    """The run in a folder, however it was started and however it stands.

    To ask one of a task of code, load that first: `load_task("file.py")`.

    Raises:
        ConfigError: there is no run.
    """
    set_library_environment()
    return Run(RunDirectory.open(Path(path).resolve()))


class Run:
    """A run on disk, read anew at each question."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory

    def __repr__(self) -> str:
        status = self._directory.status() or {"status": "not begun"}
        told = f"{self.config.method} on {self.config.task}, {status['status']}"
        return f"Run({str(self.path)!r}: {told})"

    @property
    def path(self) -> Path:
        """Its folder."""
        return self._directory.path

    @property
    def config(self) -> RunConfig:
        """Its settings, as it began."""
        return self._directory.config

    @property
    def metrics(self) -> DataFrame:
        """A row for each step (the index) that was measured or trained, a column for each metric
        of docs/metrics.md; NaN where a metric was not measured. What a resume voided is not there.
        """
        import pandas

        rows: dict[int, dict[str, Any]] = {}
        for event in self._events("metrics"):
            rows.setdefault(event["step"], {}).update(event["metrics"])
        table = pandas.DataFrame.from_dict(rows, orient="index", dtype=float)
        return table.rename_axis("step").sort_index()

    def samples(self, step: int | None = None) -> list[dict[str, Any]]:
        """What policy and reference say to each probe prompt at a step that was evaluated, the
        last by default: {"prompt", "reference", "policy"}, both with `text` and rewards in nats.

        Raises:
            ValueError: nothing was sampled at this step.
        """
        sampled = {event["step"]: event["samples"] for event in self._events("samples")}
        wanted = max(sampled, default=None) if step is None else step
        if wanted not in sampled:
            raise ValueError(f"expected one of the steps {sorted(sampled)}, got {wanted}")
        return sampled[wanted]

    def evaluate(self, **options: Any) -> dict[str, Any]:
        """What `align-core evaluate --json` prints, on held-out prompts.

        `options` are `reference`, `prompts`, `coverage` and `seed`.

        Raises:
            ConfigError: bad input, or a run without a model.
        """
        return in_process.evaluate(str(self.path), [], **options)

    def generate(
        self, prompt: str | Sequence[str] | None = None, n: int = 4, **options: Any
    ) -> list[dict[str, Any]]:
        """`n` samples for each prompt, as `align-core generate --json` prints them.

        Without a prompt the model is given the first of the task's probe prompts. `options` are
        `temperature` and `seed`.

        Raises:
            ConfigError: bad input, or a run without a model.
        """
        prompts = [prompt] if isinstance(prompt, str) else prompt and list(prompt)
        return in_process.generate(str(self.path), prompts, [], n=n, **options)

    def score(self, prompt: str, completions: str | Sequence[str]) -> list[dict[str, Any]]:
        """Rewards and log-probabilities of each completion, as `align-core score --json` prints
        them.

        Raises:
            ConfigError: bad input, or a run without a model.
        """
        given = [completions] if isinstance(completions, str) else list(completions)
        return in_process.score(str(self.path), prompt, given, [])

    def plot(self, *others: Run) -> Any:
        """A `plotly.graph_objects.Figure` as the page draws it: gold reward over KL against the
        limit, and the method's curves; with `others` laid over them.

        Raises:
            ModuleNotFoundError: there is no plotly; one line says what to install.
            ValueError: more than four runs, or runs of several tasks.
        """
        from align_core import plots

        runs = (self, *others)
        alike = len({run.path.name for run in runs}) < len(runs)
        names = [str(run.path) if alike else run.path.name for run in runs]
        return plots.figure(
            [
                plots.Drawn(name, run.config, run.metrics, run._changes())
                for name, run in zip(names, runs, strict=True)
            ]
        )

    def _changes(self) -> dict[int, dict[str, float]]:
        """What was turned while it ran, by step."""
        return {event["step"]: event["settings"] for event in self._events("change")}

    def _events(self, kind: str) -> list[dict[str, Any]]:
        return of_kind(self._directory.events()[0], kind)
