"""The accuracy of reward models that learn from votes on the pairs they are least sure of.

    python -m benchmarks.active_pairs            execute missing runs, write results and the page
    python -m benchmarks.active_pairs --render   write docs/benchmarks.md from the stored results

After each round of votes of the task's own rater, a reward model is trained on all votes, with the
settings of `align_core.votes.preference_files`. Its scores select the pairs of the next round
(`align_core.votes.pair_selection`). All shares of such pairs have the same number of votes and the
same first round. Nothing is timed, so each core executes a run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.common import DOCS, child, spread, table, write_section

RESULTS = Path(__file__).with_name("active_pairs.json")
PAGE = DOCS / "benchmarks.md"
TASKS = ("reviews", "capitals")
SEEDS = (0, 1, 2)
SHARES = (0.0, 0.5, 1.0)  # of actively drawn pairs in a round
CANDIDATES = 1000
ROUND, ROUNDS = 50, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--lanes", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--one", nargs=3, metavar=("TASK", "SHARE", "SEED"), help="only this run")
    args = parser.parse_args()
    if args.one:
        task, share, seed = args.one
        print(json.dumps(one_run(task, float(share), int(seed))))
        return
    if not args.render:
        measure(args.lanes)
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "active pairs", text)
    print(text)


def measure(lanes: int) -> None:
    """Execute the runs that are missing in the results, which are stored after each run."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    settings = [(task, share, seed) for task in TASKS for share in SHARES for seed in SEEDS]
    missing = [setting for setting in settings if _key(*setting) not in results]

    def run(setting: tuple[str, float, int]) -> list[float]:
        return child("benchmarks.active_pairs", "--one", *map(str, setting), OMP_NUM_THREADS="1")

    with ThreadPoolExecutor(lanes) as pool:
        for setting, accuracies in zip(missing, pool.map(run, missing), strict=True):
            results[_key(*setting)] = accuracies
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(*setting, accuracies, flush=True)


def one_run(task: str, share: float, seed: int) -> list[float]:
    """The accuracy of the reward model on held-out pairs, after each round of votes."""
    from align_core.inference import queries
    from align_core.votes import preference_files, simulated_raters

    unrated = preference_files.pool_pairs(task, CANDIDATES, seed)
    rows: list[dict[str, Any]] = []
    accuracies = []
    for number in range(ROUNDS):
        round_seed = seed * ROUNDS + number
        cast = simulated_raters.simulate(
            unrated, simulated_raters.CROWDS["task"], ROUND, 1, share, round_seed
        )
        rows += preference_files.preferences(
            {**unrated[vote.pair], "choice": vote.choice} for vote in cast
        )
        rated = {vote.pair for vote in cast}
        unrated = [pair for row, pair in enumerate(unrated) if row not in rated]
        with tempfile.TemporaryDirectory() as folder:
            model = _reward_model(task, rows, seed, Path(folder))
            accuracies.append(queries.evaluate(model, task, None, 128, 0)["accuracy"])
            unrated = queries.score_pairs(unrated, model)
    return accuracies


def _reward_model(task: str, rows: list[dict[str, Any]], seed: int, folder: Path) -> str:
    from align_core.config.run_config import resolve
    from align_core.runs.control import Control
    from align_core.runs.directory import RunDirectory
    from align_core.training.run import run as execute
    from align_core.votes import preference_files

    preference_files.write(folder / "votes.jsonl", rows)
    settings = preference_files.settings("reward", task, len(rows))
    settings |= {"eval_every": settings["steps"], "seed": seed}
    config = resolve("reward", task, preferences=str(folder / "votes.jsonl"), **settings)
    run = RunDirectory.create(folder / "run", config)
    execute(config, run, Control())
    return str(run.path)


def render(results: dict[str, Any]) -> str:
    """A row for each task and share, with the gain over uniform draws, paired by seed."""
    rows = []
    for task in TASKS:
        uniform = [results[_key(task, 0.0, seed)][-1] for seed in SEEDS]
        for share in SHARES:
            runs = [results[_key(task, share, seed)] for seed in SEEDS]
            columns = [spread(list(column), 3) for column in zip(*runs, strict=True)]
            gains = [run[-1] - base for run, base in zip(runs, uniform, strict=True)]
            gained = (
                "–" if share == 0 else f"{100 * statistics.median(gains):+.1f} ({_range(gains)})"
            )
            rows.append([task, f"{share:.0%}", *columns, gained])
    votes = [str(ROUND * (number + 1)) for number in range(ROUNDS)]
    intro = [
        "Written by `python -m benchmarks.active_pairs` from `benchmarks/active_pairs.json`:",
        "accuracy on held-out pairs of a reward model trained anew after each round of",
        f"{ROUND} votes of the task's own rater, on {CANDIDATES:,} stored pairs to choose from.",
        "Active: the share of pairs drawn from the tenth that the last reward model is least",
        "sure of; the others are drawn at random.",
        f"Medians of {len(SEEDS)} seeds, lowest to highest in brackets. Gained: points of accuracy",
        f"at {votes[-1]} votes over random pairs alone with the same seed.\n\n",
    ]
    head = ["task", "active", *(f"{count} votes" for count in votes), "gained"]
    return "\n".join(intro) + table(head, rows)


def _range(gains: list[float]) -> str:
    return f"{100 * min(gains):+.1f} to {100 * max(gains):+.1f}"


def _key(task: str, share: float, seed: int) -> str:
    return f"{task} {share} {seed}"


if __name__ == "__main__":
    main()
