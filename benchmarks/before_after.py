"""What a person feels, before a change and after it: two checkouts in turn, pair by pair.

    python -m benchmarks.before_after OTHER                 seven pairs, as a table on the screen
    python -m benchmarks.before_after OTHER --pairs 11      more of them

OTHER is a checkout of the project as it was, with the same Python. Each pair measures both, the
other one first every second time, so that a machine that slows down slows both. Ratios are this
checkout over the other one, of the pairs; below 1 is faster.
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
# In a process of its own, whose folder is the checkout that is measured.
PAGE = """
import json
from benchmarks import page
page.REPEATS, page.UPDATES, page.UPDATED_STEPS = 1, 1, 200
found = page.visit() | page.press()
script = page.updates()["script_ms"]
print(json.dumps({
    "second start to a page to use, s": found["usable"][0],
    "Run to the first point on the screen, s": found["first"][0],
    "scripts of the page, an update, ms": sum(script) / len(script),
    "scripts of the page, slowest update in twenty, ms": script[int(0.95 * len(script))],
}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path, help="a checkout of the project as it was")
    parser.add_argument("--pairs", type=int, default=7)
    given = parser.parse_args()
    found: list[tuple[dict[str, float], dict[str, float]]] = []
    for pair in range(given.pairs):
        order = (given.other, ROOT) if pair % 2 else (ROOT, given.other)
        measured = {checkout: page(checkout) | ppo(checkout) for checkout in order}
        found.append((measured[given.other], measured[ROOT]))
        print(json.dumps({"before": found[-1][0], "after": found[-1][1]}), flush=True)
    print(f"\n{machine()}; {given.pairs} pairs\n\n{render(found)}")


def page(checkout: Path) -> dict[str, float]:
    """The figures of the page of a checkout, each measured once."""
    return json.loads(_output(checkout, "-c", PAGE).splitlines()[-1])


def ppo(checkout: Path) -> dict[str, float]:
    """Seconds of a rollout of the default PPO run, evaluation aside, the first one too."""
    with tempfile.TemporaryDirectory() as folder:
        given = ["train", "ppo", "--task", "reviews", "--steps", str(ROLLOUTS), "--json"]
        given += ["--eval-every", str(ROLLOUTS), "--run-dir", f"{folder}/run"]
        lines = _output(checkout, "-m", "align_core", *given).splitlines()
    metrics = [event["metrics"] for event in map(json.loads, lines) if event["kind"] == "metrics"]
    steps = [one["timing/step"] for one in metrics if "timing/step" in one]
    return {"a rollout of PPO, s": statistics.median(steps[1:])}


def render(found: list[tuple[dict[str, float], dict[str, float]]]) -> str:
    """A row for each figure: medians, lowest to highest, and the ratio of the pairs."""
    rows = []
    for name in found[0][0]:
        before, after = ([one[name] for one in side] for side in zip(*found, strict=True))
        ratios = [new / old for old, new in zip(before, after, strict=True)]
        rows.append([name, spread(before, 2), spread(after, 2), spread(ratios, 2)])
    return table(["figure", "before", "after", "ratio"], rows)


def _output(checkout: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env={**os.environ, "OMP_NUM_THREADS": str(THREADS)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


if __name__ == "__main__":
    main()
