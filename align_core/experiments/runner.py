"""Executes the runs of an experiment in parallel, and stores each so that none is repeated."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from align_core import experiments
from align_core.config.environment import set_library_environment
from align_core.runs.files import write_atomically

Settings = dict[str, Any]


def run(
    name: str,
    folder: Path,
    *,
    quick: bool,
    lanes: int,
    on_part: Callable[[int, int], None] = lambda done, count: None,
) -> dict[str, Any]:
    """The result of an experiment, which is also written to `folder`/result.json.

    Runs that are in `folder` with the same settings are not repeated. `lanes` runs are executed at
    a time, each in a process with one thread. `on_part` gets the number of finished and of all
    runs.
    """
    experiment = experiments.load(name)
    stages = experiment.stages(quick)
    store = RunStore(folder / "parts")
    missing = [[part for part in stage.items() if store.find(*part) is None] for stage in stages]
    done, count = sum(map(len, stages)) - sum(map(len, missing)), sum(map(len, stages))
    on_part(done, count)
    if done < count:
        with _Processes(lanes) as pool:
            for stage in missing:
                for part in as_completed(
                    pool.submit(_measure, name, str(folder), part, settings)
                    for part, settings in stage
                ):
                    store.save(*part.result())
                    on_part(done := done + 1, count)
    stored = (store.find(*part) for stage in stages for part in stage.items())
    runs = [run for run in stored if run is not None]
    result = {
        "experiment": name,
        "quick": quick,
        "runs": count,
        "core_seconds": round(sum(run["seconds"] for run in runs), 1),
        **experiment.summary(runs),
    }
    write_atomically(folder / "result.json", json.dumps(_rounded(result), allow_nan=False) + "\n")
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


class RunStore:
    """The finished runs: a file for each, with what it "measured", its "settings" and "seconds"."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, name: str, settings: Settings) -> dict[str, Any] | None:
        """The run of this name; None if it does not exist, has other settings, or was stored by an
        earlier version."""
        try:
            run = json.loads((self._folder / f"{name}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return run if run["settings"] == settings and "measured" in run else None

    def save(self, name: str, run: dict[str, Any]) -> None:
        """Store a run atomically."""
        write_atomically(self._folder / f"{name}.json", json.dumps(run, allow_nan=False) + "\n")


def _measure(
    experiment: str, folder: str, part: str, settings: Settings
) -> tuple[str, dict[str, Any]]:
    """Execute a run, in a process of the pool. Returns its name and what `RunStore` keeps of it."""
    began = time.process_time()  # not wall-clock time, which other processes lengthen
    measurements = experiments.load(experiment).measure(Path(folder), **settings)
    seconds = time.process_time() - began
    return part, {"settings": settings, "measured": measurements, "seconds": round(seconds, 2)}


class _Processes(ProcessPoolExecutor):
    """A pool of processes with one thread each, terminated when this process is interrupted."""

    def __init__(self, lanes: int) -> None:
        # numpy and torch read these when they are imported, in the new processes.
        os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
        spawn = multiprocessing.get_context("spawn")
        super().__init__(lanes, mp_context=spawn, initializer=_begin)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None:
            for child in multiprocessing.active_children():
                child.terminate()
        super().__exit__(kind, error, trace)


def _begin() -> None:
    """Set up a new process of the pool, before its first run."""
    # The process that owns the pool handles Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    set_library_environment()


def _end_with_parent() -> None:
    """End this process when the one that owns the pool was killed and could not terminate it."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a process of the pool
    parent.join()
    os._exit(1)


def _rounded(value: Any) -> Any:
    """The value with floats rounded to five significant digits; the noise is larger."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
