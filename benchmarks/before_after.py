"""The speed that users notice before and after a change: two checkouts, measured in pairs.

    python -m benchmarks.before_after OTHER                 print a table for seven pairs
    python -m benchmarks.before_after OTHER --pairs 11      more pairs

OTHER is a checkout from before the change, for the same Python. Each pair measures both checkouts,
in alternating order, so that a machine that slows down affects both. Ratios are this checkout over
OTHER, for each pair; below 1 is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import ROOT, THREADS, machine, spread, table

ROLLOUTS = 10
# Executed in a process whose working directory is the checkout.
PAGE = """
import json
from benchmarks import page
page.REPEATS, page.UPDATES, page.UPDATED_STEPS = 1, 1, 200
times = page.visit() | page.press()
script = page.updates()["script_ms"]
print(json.dumps({
    "second start until the page can be used, s": times["usable"][0],
    "Run to the first point on the screen, s": times["first"][0],
    "scripts of the page, an update, ms": sum(script) / len(script),
    "scripts of the page, slowest update in twenty, ms": script[int(0.95 * len(script))],
}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path, help="a checkout from before the change")
    parser.add_argument("--pairs", type=int, default=7)
    args = parser.parse_args()
    pairs: list[tuple[dict[str, float], dict[str, float]]] = []
    for number in range(args.pairs):
        order = (args.other, ROOT) if number % 2 else (ROOT, args.other)
        measured = {checkout: page(checkout) | ppo(checkout) for checkout in order}
        pairs.append((measured[args.other], measured[ROOT]))
        print(json.dumps({"before": pairs[-1][0], "after": pairs[-1][1]}), flush=True)
    print(f"\n{machine()}; {args.pairs} pairs\n\n{render(pairs)}")


def page(checkout: Path) -> dict[str, float]:
    """The times of the page of a checkout, each measured once."""
    return json.loads(_output(checkout, "-c", PAGE).splitlines()[-1])


def ppo(checkout: Path) -> dict[str, float]:
    """Median seconds of a rollout of the default PPO run, without evaluations and the first
    rollout."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["train", "ppo", "--task", "reviews", "--steps", str(ROLLOUTS), "--json"]
        options += ["--eval-every", str(ROLLOUTS), "--run-dir", f"{folder}/run"]
        lines = _output(checkout, "-m", "align_core", *options).splitlines()
    metrics = [event["metrics"] for event in map(json.loads, lines) if event["kind"] == "metrics"]
    steps = [row["timing/step"] for row in metrics if "timing/step" in row]
    return {"a rollout of PPO, s": statistics.median(steps[1:])}


def render(pairs: list[tuple[dict[str, float], dict[str, float]]]) -> str:
    """A row for each time: medians, lowest and highest values, and the ratios of the pairs."""
    rows = []
    for name in pairs[0][0]:
        before, after = ([row[name] for row in side] for side in zip(*pairs, strict=True))
        ratios = [new / old for old, new in zip(before, after, strict=True)]
        rows.append([name, spread(before, 2), spread(after, 2), spread(ratios, 2)])
    return table(["figure", "before", "after", "ratio"], rows)


def _output(checkout: Path, *arguments: str) -> str:
    process = subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env={**os.environ, "OMP_NUM_THREADS": str(THREADS)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process.stdout


if __name__ == "__main__":
    main()
