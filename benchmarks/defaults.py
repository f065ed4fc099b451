"""The default run of every method and task: wall time, quality on held-out prompts, memory.

    python -m benchmarks.defaults            run and write results and docs/benchmarks.md
    python -m benchmarks.defaults --render   write docs/benchmarks.md from the stored results

Runs are started as the page starts them, in a process from a warm forkserver, one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from align_core.client import Client
from align_core.runs import FINAL, RunDirectory

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("defaults.json")
PAGE = ROOT / "docs" / "benchmarks.md"
TASKS = ("reviews", "capitals")

# name: (method, extra options, wall time asked, efficiency asked, gain asked)
RUNS = {
    "SFT": ("sft", {}, 40, None, None),
    "reward model": ("reward", {}, 20, None, None),
    "PPO on the gold reward": ("ppo", {"reward_model": "gold"}, 90, 0.92, 0.7),
    "PPO on the reward model": ("ppo", {}, 90, 0.85, 0.6),
    "DPO": ("dpo", {}, 20, 0.80, 0.5),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--only", choices=RUNS, action="append", help="only these runs")
    parser.add_argument("--task", choices=TASKS, action="append", help="only on these tasks")
    parser.add_argument("--seeds", type=int, default=3, help="seeds a run (default: 3)")
    given = parser.parse_args()
    if not given.render:
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        names, tasks = given.only or list(RUNS), given.task or list(TASKS)
        for _ in measure(results, names, tasks, range(given.seeds)):
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    table = render(json.loads(RESULTS.read_text()))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(table)
    print(table)


def measure(results: dict, names: list[str], tasks: list[str], seeds: range) -> Iterator[None]:
    """Run and evaluate; `results` is filled in place, a row at a time."""
    results["machine"] = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    with tempfile.TemporaryDirectory() as folder:
        client = Client(Path(folder))
        client.warm()
        _run(client, method="sft", task="reviews", steps=1)  # the forkserver is warm from here on
        for name in names:
            method, options, *_ = RUNS[name]
            for task in tasks:
                runs = []
                for seed in seeds:
                    run, seconds, first, memory = _run(
                        client, method=method, task=task, seed=seed, **options
                    )
                    found = _evaluate(Path(folder) / run) if method != "sft" else {}
                    runs.append(
                        {
                            "seconds": seconds,
                            "first_point": first,
                            "memory_gb": memory,
                            **{key: found.get(key) for key in _KEPT},
                        }
                    )
                    print(name, task, seed, runs[-1], flush=True)
                results.setdefault(name, {})[task] = runs
                yield
        client.close()


_KEPT = ("gold_reward", "proxy_reward", "kl", "gain", "frontier_efficiency", "accuracy")


def _run(client: Client, **options) -> tuple[str, float, float, float]:
    """Name; seconds from press to kept model; seconds to the first point; peak memory, GB."""
    begin = time.monotonic()
    peak = _Peak()
    name = client.start(**options)
    first, offset, status = None, 0, None
    while status is None:
        time.sleep(0.05)
        events, offset = client.events(name, offset)
        for event in events:
            if event["kind"] == "metrics" and first is None:
                first = time.monotonic() - begin
            if event["kind"] == "status" and event["status"] in FINAL:
                status = event
    seconds = time.monotonic() - begin
    if status["status"] != "finished":
        sys.exit(f"{name} {options}: {status}")
    return name, seconds, first, peak.stop()


class _Peak(threading.Thread):
    """The largest memory of this process and its children, pages they share counted once."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._done = threading.Event()
        self._largest = 0
        self.start()

    def run(self) -> None:
        me = psutil.Process()
        while not self._done.wait(0.5):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except (psutil.Error, AttributeError):
                    continue
            self._largest = max(self._largest, total)

    def stop(self) -> float:
        self._done.set()
        self.join()
        return self._largest / 2**30


def _evaluate(run: Path) -> dict:
    task = RunDirectory.open(run).config.task
    command = [sys.executable, "-m", "align_core", "evaluate", str(run), "--task", task, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout)


def render(results: dict) -> str:
    """The page: medians over seeds, what was asked beside what was measured."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make benchmark` from `benchmarks/defaults.json`. The default run of every",
        "method, as the page starts it, on held-out prompts; medians over seeds (their number in",
        "the last column), lowest to highest in brackets. `docs/metrics.md` defines the numbers.",
        f"Machine: {results['machine']}.",
        "",
        "| default run | task | wall time, s | asked | first point, s | KL | gain | asked "
        "| efficiency or accuracy | asked | memory, GB | seeds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, (method, _, seconds, efficiency, gain) in RUNS.items():
        for task in TASKS:
            runs = results[name][task]
            quality = "accuracy" if method == "reward" else "frontier_efficiency"
            asked = 0.8 if (method, task) == ("reward", "reviews") else efficiency
            cells = [
                name,
                task,
                _median(runs, "seconds", 1),
                str(seconds),
                _median(runs, "first_point", 1),
                _median(runs, "kl", 2),
                _median(runs, "gain", 2),
                _shown(gain),
                _median(runs, quality, 2),
                _shown(asked),
                _median(runs, "memory_gb", 1),
                str(len(runs)),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _median(runs: list[dict], key: str, digits: int) -> str:
    values = [run[key] for run in runs if run[key] is not None]
    if not values:
        return "–"
    middle, low, high = statistics.median(values), min(values), max(values)
    spread = f" ({low:.{digits}f}–{high:.{digits}f})" if len(values) > 1 else ""
    return f"{middle:.{digits}f}{spread}"


def _shown(asked: float | None) -> str:
    return "–" if asked is None else f"≥ {asked:g}"


if __name__ == "__main__":
    main()
