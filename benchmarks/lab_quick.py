"""The time of each of the lab's experiments at its quick size: `experiment NAME --quick`.

python -m benchmarks.lab_quick            run each by its command, write docs/results.md
python -m benchmarks.lab_quick --render   write docs/results.md from the stored results
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

from align_core import experiments
from align_core.config import model_index
from benchmarks.common import DOCS, ROOT, machine, table, write_section

RESULTS = model_index.ASSETS / "lab_quick.json"
PAGE = DOCS / "results.md"
LONGEST = 30  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    if not parser.parse_args().render:
        lanes = os.cpu_count() or 1
        seconds = {name: measure(name, lanes) for name in experiments.NAMES}
        results = {"machine": machine(threads=1), "lanes": lanes, "seconds": seconds}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "quick", text)
    print(text)


def measure(name: str, lanes: int) -> float:
    """The wall seconds of the command, in a new folder."""
    command = [sys.executable, "-m", "align_core", "experiment", name, "--quick"]
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        subprocess.run(
            [*command, "--run-dir", folder, "--lanes", str(lanes)],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return round(time.monotonic() - began, 1)


def render(results: dict) -> str:
    """A row for each experiment."""
    intro = (
        "Written by `python -m benchmarks.lab_quick` from `assets/lab_quick.json`: seconds on the\n"
        f"clock of one `experiment NAME --quick`, {results['lanes']} runs at a time. "
        "**Bold ✗**: beyond\n"
        f"the {LONGEST} s that it may take. Machine: {results['machine']}.\n\n"
    )
    rows = [
        [f"`{name}`", f"{seconds:.0f}" if seconds <= LONGEST else f"**{seconds:.0f} ✗**"]
        for name, seconds in results["seconds"].items()
    ]
    return intro + table(["experiment", "seconds"], rows)


if __name__ == "__main__":
    main()
