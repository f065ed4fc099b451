"""The number of preference pairs with which a reward model lets PPO gain before it over-optimises.

    python -m benchmarks.few_pairs            execute missing runs, write results and the page
    python -m benchmarks.few_pairs --render   write docs/benchmarks.md from the stored results

Reward models are trained by `align_core.build.assets.train_variant`, PPO with the settings of the
preset reward-hacking. Nothing is timed, so each core executes a run.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from align_core.config.run_config import resolve
from align_core.runs import presets
from align_core.runs.events import series
from align_core.runs.preset_checks import Check, checks
from benchmarks.common import DOCS, child, spread, table, write_section

RESULTS = Path(__file__).with_name("few_pairs.json")
PAGE = DOCS / "benchmarks.md"
PRESET = presets.load("reward-hacking")
# Without the preset's embedded reward model, which was chosen from these results.
BASE = resolve(**{**PRESET.settings, "reward_model": None})
PAIRS = (64, 128, 256, 512, 1024, 2048, 4000)
SEEDS = (0, 1, 2)
METRICS = ("eval/gain", "eval/gold_reward", "eval/proxy_reward", "eval/kl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--lanes", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--pairs", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.pairs:
        print(json.dumps(one_model(args.pairs)))
        return
    if not args.render:
        measure(args.lanes)
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "few pairs", text)
    print(text)


def measure(lanes: int) -> None:
    """Execute the runs that are missing in the results, which are stored after each one."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    missing = [pairs for pairs in PAIRS if str(pairs) not in results]

    def run(pairs: int) -> dict:
        return child("benchmarks.few_pairs", "--pairs", str(pairs), OMP_NUM_THREADS="1")

    with ThreadPoolExecutor(lanes) as pool:
        for pairs, result in zip(missing, pool.map(run, missing), strict=True):
            results[str(pairs)] = result
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
            print(pairs, result, flush=True)


def one_model(pairs: int) -> dict:
    """The accuracy of a reward model on this many pairs, and PPO's curves on it for each seed."""
    from align_core.build.assets import train_variant
    from align_core.inference import queries
    from align_core.runs.control import Control
    from align_core.runs.directory import RunDirectory
    from align_core.training.run import run as execute

    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "reward"
        train_variant(BASE.task, model, preference_pairs=pairs)
        accuracy = queries.evaluate(str(model), BASE.task, None, 128, 0)["accuracy"]
        runs = {}
        for seed in SEEDS:
            changed = {"reward_model": str(model), "seed": seed}
            run = RunDirectory.create(Path(folder) / str(seed), BASE.model_copy(update=changed))
            execute(run.config, run, Control())
            curves = series(run.events()[0])
            runs[seed] = {name: curves[name] for name in METRICS}
    return {"accuracy": accuracy, "runs": runs}


def preset_checks(result: dict) -> list[list[Check]]:
    """The checks of the preset's promise on each run with one reward model."""
    return [checks(PRESET.promise, series) for series in result["runs"].values()]


def fewest(results: dict) -> int | None:
    """The smallest number of pairs with which every run keeps the promise."""
    kept = [
        int(pairs)
        for pairs, result in results.items()
        if all(check.holds for run in preset_checks(result) for check in run)
    ]
    return min(kept, default=None)


def render(results: dict) -> str:
    """A row for each number of pairs."""
    rows = []
    for pairs, result in results.items():
        runs = preset_checks(result)
        kept = sum(all(check.holds for check in run) for run in runs)
        values = [spread([check.value for check in row], 2) for row in zip(*runs, strict=True)]
        ends = [
            spread([series[name][-1][1] for series in result["runs"].values()], 2)
            for name in ("eval/gain", "eval/kl")
        ]
        accuracy = f"{result['accuracy']:.2f}"
        rows.append([pairs, accuracy, *values, *ends, f"{kept} of {len(runs)}"])
    promise, least = PRESET.promise, fewest(results)
    summary = f"{least} pairs are the fewest" if least else "There is no number of pairs"
    intro = [
        "Written by `python -m benchmarks.few_pairs` from `benchmarks/few_pairs.json`. PPO on",
        f"`{BASE.task}` (β = {BASE.beta:g}, {BASE.steps} rollouts) on reward models that",
        f"differ only in the number of their pairs; medians of {len(SEEDS)} seeds, lowest to",
        "highest in brackets, on the probe prompts. Kept: the best gain is at least",
        f"{promise['gain']:g}, {promise['lost']:.0%} of it is lost by the end, and the proxy has",
        f"risen by {promise['rise']:g} nats since. {summary} at which every seed does so.",
        f"The embedded `reward-{BASE.task}-few` is of this kind. Accuracy: on held-out pairs.\n\n",
    ]
    names = [check.name for check in runs[0]]
    head = ["pairs", "accuracy", *names, "final gain", "final KL", "kept"]
    return "\n".join(intro) + table(head, rows)


if __name__ == "__main__":
    main()
