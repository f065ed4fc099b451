"""Training on few votes compared with 2,000: gold reward of DPO, accuracy of reward models.

    python -m benchmarks.few_votes            execute missing runs, write results and the page
    python -m benchmarks.few_votes --reward   only the reward models, which take seconds each
    python -m benchmarks.few_votes --render   write docs/benchmarks.md from the stored results

The task's own rater casts the votes, one on each stored pair. Like people's votes, they are written
to a file for `--preferences`, with the settings of `align_core.votes.preference_files`. Nothing is
timed, so each core executes a run.
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

RESULTS = Path(__file__).with_name("few_votes.json")
PAGE = DOCS / "benchmarks.md"
TASKS = ("reviews", "capitals")
SEEDS = (0, 1, 2)
FEW, MANY = 200, 2000
LEAST = 0.5  # the required share of the gain with MANY votes
CURVE = (25, 50, 100, 200, 400, 800, MANY)  # numbers of votes for reward models
VOTES = {"dpo": (FEW, MANY), "reward": CURVE}
MEASURED = {"dpo": ("gold_reward", "gold_reward_reference", "kl", "gain"), "reward": ("accuracy",)}
SUFFICIENT = 0.75  # the required share of the lead over chance with MANY votes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--lanes", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--reward", action="store_true", help="only the reward models")
    one = ("METHOD", "TASK", "VOTES", "SEED")
    parser.add_argument("--one", nargs=4, metavar=one, help="only this run")
    args = parser.parse_args()
    if args.one:
        method, task, votes, seed = args.one
        print(json.dumps(one_run(method, task, int(votes), int(seed))))
        return
    if not args.render:
        measure(args.lanes, ("reward",) if args.reward else tuple(VOTES))
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "few votes", text)
    print(text)


def measure(lanes: int, methods: tuple[str, ...]) -> None:
    """Execute the runs that are missing in the results, which are stored after each run."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    missing = [setting for method in methods for setting in _missing(results, method)]

    def run(setting: tuple[str, str, int, int]) -> dict[str, Any]:
        return child("benchmarks.few_votes", "--one", *map(str, setting), OMP_NUM_THREADS="1")

    with ThreadPoolExecutor(lanes) as pool:
        for setting, metrics in zip(missing, pool.map(run, missing), strict=True):
            results[_key(*setting)] = metrics
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(*setting, metrics, flush=True)


def one_run(method: str, task: str, votes: int, seed: int) -> dict[str, float]:
    """Metrics on held-out prompts of a run on this many votes.

    The `accuracy` of a reward model is on pairs of the reference's texts.
    """
    from align_core.config.run_config import resolve
    from align_core.inference import queries
    from align_core.runs.control import Control
    from align_core.runs.directory import RunDirectory
    from align_core.training.run import run as execute
    from align_core.votes import preference_files, simulated_raters

    pairs = preference_files.pool_pairs(task, votes, seed)
    cast = simulated_raters.simulate(pairs, simulated_raters.CROWDS["task"], votes, 1, 0.0, seed)
    rows = preference_files.preferences(
        {**pairs[vote.pair], "choice": vote.choice} for vote in cast
    )
    settings = preference_files.settings(method, task, len(rows))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "votes.jsonl"
        preference_files.write(file, rows)
        own = {**settings, "eval_every": settings["steps"], "seed": seed}
        config = resolve(method, task, preferences=str(file), **own)
        run = RunDirectory.create(Path(folder) / "run", config)
        execute(config, run, Control())
        metrics = queries.evaluate(str(run.path), task, None, 128, 0)
    return {"steps": settings["steps"], **{name: metrics[name] for name in MEASURED[method]}}


def share(results: dict[str, Any], task: str, seed: int) -> float:
    """The gain of gold reward with FEW votes over the gain with MANY."""
    few, many = (
        run["gold_reward"] - run["gold_reward_reference"]
        for run in (results[_key("dpo", task, votes, seed)] for votes in (FEW, MANY))
    )
    return few / many


def accuracy(results: dict[str, Any], task: str, votes: int) -> float:
    """The median accuracy over seeds of reward models on this many votes."""
    values = (results[_key("reward", task, votes, seed)]["accuracy"] for seed in SEEDS)
    return statistics.median(values)


def enough(results: dict[str, Any], task: str) -> int:
    """The smallest number in CURVE with SUFFICIENT times the lead over chance of MANY votes."""
    gains = {votes: accuracy(results, task, votes) - 0.5 for votes in CURVE}
    return next(votes for votes, gain in gains.items() if gain >= SUFFICIENT * gains[MANY])


def render(results: dict[str, Any]) -> str:
    """The tables of the methods whose runs are complete."""
    tables = {"dpo": _render_gain, "reward": _render_curve}
    complete = (draw(results) for name, draw in tables.items() if not _missing(results, name))
    return "\n".join(complete)


def _render_gain(results: dict[str, Any]) -> str:
    """A row for each task and number of votes."""
    rows = []
    for task in TASKS:
        shares = [share(results, task, seed) for seed in SEEDS]
        sufficient = statistics.median(shares) >= LEAST
        for votes in (FEW, MANY):
            runs = [results[_key("dpo", task, votes, seed)] for seed in SEEDS]
            columns = [
                spread([run[name] for run in runs], 2)
                for name in ("gold_reward_reference", "gold_reward", "kl", "gain")
            ]
            cell = spread(shares, 2) if votes == FEW else "1"
            cell = cell if sufficient or votes == MANY else f"**{cell} ✗**"
            rows.append([task, f"{votes:,}", str(runs[0]["steps"]), *columns, cell])
    intro = [
        "Written by `python -m benchmarks.few_votes` from `benchmarks/few_votes.json`. DPO on",
        "votes of the task's own rater, one for each pair, from a file; gold reward on held-out",
        f"prompts, medians of {len(SEEDS)} seeds, lowest to highest in brackets. Share: the gain",
        f"in gold reward divided by the gain with {MANY:,} votes; **✗**: below",
        f"{LEAST:g}.\n\n",
    ]
    head = ["task", "votes", "steps", "reference", "gold reward", "KL", "gain", "share"]
    return "\n".join(intro) + table(head, rows)


def _render_curve(results: dict[str, Any]) -> str:
    """A row for each task: the accuracy of reward models for each number of votes."""
    rows = []
    for task in TASKS:
        columns = (
            [results[_key("reward", task, votes, seed)]["accuracy"] for seed in SEEDS]
            for votes in CURVE
        )
        rows.append([task, str(enough(results, task)), *(spread(values, 2) for values in columns)])
    intro = [
        "The accuracy of reward models by their number of votes: how often they order two",
        "held-out texts as the gold reward does; 0.5 by chance. Enough: the smallest number whose",
        f"lead over chance is at least {SUFFICIENT:g} of the lead with {MANY:,} votes. As on the",
        "page, only votes that prefer a text and are trained on count, without ties, both-bad",
        "votes and held-out ones.\n\n",
    ]
    return "\n".join(intro) + table(["task", "enough", *(f"{votes:,}" for votes in CURVE)], rows)


def _missing(results: dict[str, Any], method: str) -> list[tuple[str, str, int, int]]:
    runs = ((method, task, n, seed) for task in TASKS for n in VOTES[method] for seed in SEEDS)
    return [run for run in runs if _key(*run) not in results]


def _key(method: str, task: str, votes: int, seed: int) -> str:
    return f"{method} {task} {votes} {seed}"


if __name__ == "__main__":
    main()
