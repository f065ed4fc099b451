"""Executes the lab's experiments at full size, records the results and writes docs/results.md.

    python -m benchmarks.lab NAME…      execute these, or all; record them and write the page
    python -m benchmarks.lab --render   write page and figures from the recorded results

An experiment resumes from the runs in runs/lab/NAME.
"""

from __future__ import annotations

import argparse
import json
import os
import textwrap
import time
from pathlib import Path
from typing import Any

from align_core import experiments
from align_core.experiments import claims, runner
from align_core.experiments.presentation import Block
from align_core.experiments.sentences import render_findings
from benchmarks import lab_figures
from benchmarks.common import DOCS, ROOT, machine, table, write_section

PAGE = DOCS / "results.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(experiments.NAMES))
    parser.add_argument("--lanes", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--render", action="store_true", help="only write page and figures")
    args = parser.parse_args()
    if not args.render:
        for name in args.names or experiments.NAMES:
            record(name, args.lanes)
    for name in experiments.NAMES:
        write_section(PAGE, name, render(name))
        if experiments.recorded(name).exists():
            lab_figures.draw(name, experiments.result(name), figure(name))


def record(name: str, lanes: int) -> None:
    """Execute the missing runs of an experiment, and store the result in the assets.

    The wall time is stored if no run was there before.
    """
    folder = ROOT / "runs" / "lab" / name
    progress: list[int] = []

    def on_part(done: int, count: int) -> None:
        progress.append(done)
        print(f"{name}: {done} of {count}", flush=True)

    began = time.monotonic()
    result = runner.run(name, folder, quick=False, lanes=lanes, on_part=on_part)
    if progress[0] == 0:
        result |= {"lanes": lanes, "wall_seconds": round(time.monotonic() - began, 1)}
    path = experiments.recorded(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine(threads=1), **result}) + "\n")


def figure(name: str) -> Path:
    """The file of an experiment's figure."""
    return DOCS / f"lab-{name}.svg"


def render(name: str) -> str:
    """The section of an experiment in docs/results.md."""
    command = f"python -m benchmarks.lab {name}"
    if not experiments.recorded(name).exists():
        return f"Not recorded yet: `{command}` does so.\n"
    experiment, result = experiments.load(name), experiments.result(name)
    intro = (
        f"Written by `{command}` from `assets/lab/{name}.json`: {result['runs']} runs, "
        f"{result['seeds']} seeds, {duration(result)}. ± is half the width of the 95% interval "
        f"(Student's t over seeds). Machine: {result['machine']}."
    )
    verdicts = [
        _filled(f"**{claims.WORDS[row['verdict']]} {row['claim']}** {row['why']}")
        for row in claims.render_verdicts(experiment.verdicts(result), experiment.SENTENCES)
    ]
    tested = claims.TESTED.format(**claims.comparison_counts(experiment, result))
    findings = render_findings(experiment.findings(result), experiment.SENTENCES)
    setup = table(["", "in the paper", "here"], [list(row) for row in experiment.SETUP])
    return "\n\n".join(
        [
            _filled(intro),
            _filled(f"**The paper** (arXiv {experiment.PAPER}): {experiment.CLAIM}"),
            setup.rstrip(),
            "**Here:**",
            *verdicts,
            _filled(tested),
            "\n".join(_filled(f"- {sentence}", indent="  ") for sentence in findings),
            f"![{experiment.TITLE}]({figure(name).name})",
            "\n".join(map(_block, experiment.report(result))),
        ]
    )


def duration(result: dict[str, Any]) -> str:
    """The total time of the runs and, if known, the wall time, in words."""
    core = result["core_seconds"] / 60
    if "wall_seconds" not in result:
        return f"{core:.1f} minutes of one core, so on two at least {core / 2:.1f}"
    clock, lanes = result["wall_seconds"] / 60, result["lanes"]
    at_once = "one run" if lanes == 1 else f"{lanes} runs"
    return f"{core:.1f} minutes of one core, {clock:.1f} on the clock with {at_once} at a time"


def _block(block: Block) -> str:
    return _filled(block) + "\n" if isinstance(block, str) else table(*block)


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 118, subsequent_indent=indent, break_on_hyphens=False)


if __name__ == "__main__":
    main()
