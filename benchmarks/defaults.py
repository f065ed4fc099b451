"""The default run of every method and task: wall time, quality on held-out prompts, memory.

    python -m benchmarks.defaults            run and write results and docs/benchmarks.md
    python -m benchmarks.defaults --render   write docs/benchmarks.md from the stored results

Runs are started as the page starts them, in a process from a warm forkserver, one after the other.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from align_core.config.model_index import reference_samples
from align_core.experiments.presentation import joined
from align_core.experiments.tabular import sigmoid
from align_core.optimum import ReferenceSamples
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from align_core.runs.events import FINAL
from benchmarks.common import DOCS, child, machine, spread, table, write_section

RESULTS = Path(__file__).with_name("defaults.json")
PAGE = DOCS / "benchmarks.md"
TASKS = ("reviews", "capitals")

NEAR = 0.25  # nats; closer texts are almost a coin toss to a rater: σ(0.25) = 0.56

# name: (method, extra options, limits of wall time, efficiency and gain)
RUNS = {
    "SFT": ("sft", {}, 40, None, None),
    "reward model": ("reward", {}, 20, None, None),
    "PPO on the gold reward": ("ppo", {"reward_model": "gold"}, 90, 0.92, 0.7),
    "PPO on the reward model": ("ppo", {}, 90, 0.85, 0.6),
    "DPO": ("dpo", {}, 20, 0.80, 0.5),
    "RLOO": ("rloo", {}, 90, None, None),
    "GRPO": ("grpo", {}, 90, None, None),
    "online DPO": ("online-dpo", {}, 90, None, None),
    "rejection sampling": ("rejection", {}, 90, None, None),
    "KTO": ("kto", {}, 90, None, None),
    "SimPO": ("simpo", {}, 90, None, None),
    "ORPO": ("orpo", {}, 90, None, None),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--only", choices=RUNS, action="append", help="only these runs")
    parser.add_argument("--task", choices=TASKS, action="append", help="only on these tasks")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each run (default: 3)")
    args = parser.parse_args()
    if not args.render:
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        names, tasks = args.only or list(RUNS), args.task or list(TASKS)
        for _ in measure(results, names, tasks, range(args.seeds)):
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "defaults", text)
    print(text)


def measure(results: dict, names: list[str], tasks: list[str], seeds: range) -> Iterator[None]:
    """Execute and evaluate the runs; yields after each row of `results`, which it fills."""
    with tempfile.TemporaryDirectory() as folder:
        client = Client(Path(folder))
        client.preload()
        _run(client, method="sft", task="reviews", steps=1)  # starts the forkserver
        for name in names:
            method, options, *_ = RUNS[name]
            for task in tasks:
                runs = []
                for seed in seeds:
                    run, seconds, first, memory = _run(
                        client, method=method, task=task, seed=seed, **options
                    )
                    metrics = _evaluate(Path(folder) / run) if method != "sft" else {}
                    runs.append(
                        {
                            "seconds": seconds,
                            "first_point": first,
                            "memory_gb": memory,
                            "machine": machine(),
                            **{key: metrics.get(key) for key in _METRICS},
                        }
                    )
                    print(name, task, seed, runs[-1], flush=True)
                results.setdefault(name, {})[task] = runs
                yield
        client.close()


_METRICS = ("gold_reward", "proxy_reward", "kl", "gain", "frontier_efficiency", "accuracy")


def _run(client: Client, **options) -> tuple[str, float, float, float]:
    """Execute a run; returns its name, seconds to its end and first evaluation, and peak GB."""
    begin = time.monotonic()
    peak = _Peak()
    client.make_room()  # the last run's process may still be exiting
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
    """The peak memory of this process and its children, with shared pages counted once."""

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
    return child("align_core", "evaluate", str(run), "--task", task, "--json")


def render(results: dict) -> str:
    """A table of medians over seeds with their limits; values beyond a limit are marked."""
    machines = list(
        dict.fromkeys(
            run["machine"] for name in results for of in results[name].values() for run in of
        )
    )
    intro = [
        "Written by `make benchmark` from `benchmarks/defaults.json`. The default run of every",
        "method, as the page starts it, on held-out prompts; medians over seeds, lowest to highest",
        "in brackets. **Bold ✗**: beyond its limit.",
        *(f"Machine {number}: {name}." for number, name in enumerate(machines, 1)),
        "\n",
    ]
    rows = []
    for name, (method, _, seconds, efficiency, gain) in RUNS.items():
        for task, runs in results.get(name, {}).items():
            quality = "accuracy" if method == "reward" else "frontier_efficiency"
            least = 0.8 if (method, task) == ("reward", "reviews") else efficiency
            rows.append(
                [
                    name,
                    task,
                    *_with_limit([run["seconds"] for run in runs], 1, most=seconds),
                    spread([run["first_point"] for run in runs], 1),
                    spread([run["kl"] for run in runs], 2),
                    *_with_limit([run["gain"] for run in runs], 2, least=gain),
                    *_with_limit([run[quality] for run in runs], 2, least=least),
                    spread([run["memory_gb"] for run in runs], 1),
                    str(len(runs)),
                    joined(sorted({1 + machines.index(run["machine"]) for run in runs})),
                ]
            )
    head = [
        *("default run", "task", "wall time, s", "limit", "first point, s", "KL", "gain", "limit"),
        *("efficiency or accuracy", "limit", "memory, GB", "seeds", "machine"),
    ]
    return "\n".join(intro) + table(head, rows) + "\n" + _near_ties()


def _with_limit(
    values: list[float | None], digits: int, least: float | None = None, most: float | None = None
) -> tuple[str, str]:
    """Two cells: the values, marked if their median is beyond the limit, and the limit."""
    shown = spread(values, digits)
    if least is None and most is None:
        return shown, "–"
    median = statistics.median(value for value in values if value is not None)
    if (least is not None and median < least) or (most is not None and median > most):
        shown = f"**{shown} ✗**"
    return shown, f"≤ {most:g}" if least is None else f"≥ {least:g}"


def _near_ties() -> str:
    """A paragraph on the highest accuracy to expect, given how many held-out pairs nearly tie."""
    near, raters, coin = [], [], []
    for task in TASKS:
        rewards = ReferenceSamples.load(reference_samples(task, "heldout")).rewards
        margins = np.abs(rewards[:, 0::2] - rewards[:, 1::2])  # the pairs of `pair_accuracy`
        margins = margins[margins > 0]
        near.append((margins < NEAR).mean())
        raters.append(sigmoid(margins).mean())
        coin.append(1 - near[-1] / 2)

    def both(shares: list[float]) -> str:
        return " and ".join(f"{share:.2f}" for share in shares)

    return (
        f"Accuracy, on {' and '.join(TASKS)}: the gold reward itself has 1, because pairs of\n"
        "equal gold reward are left out; its raters, who choose with probability σ(Δr), have\n"
        f"{both(raters)}. {both(near)} of the pairs are less than {NEAR} nats apart, nearly a\n"
        "coin toss to a rater: a coin toss on these, and the right choice on all others, gives\n"
        f"{both(coin)}. The default run on capitals stays below that because it does not know\n"
        "which city is the capital (`docs/notes.md`).\n"
    )


if __name__ == "__main__":
    main()
