"""A folder of many runs: the processor time of the first list of runs, and of a page's poll.

python -m benchmarks.many_runs            measure, write results and the page
python -m benchmarks.many_runs --render   write docs/benchmarks.md from the stored results
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from align_core.config.run_config import resolve
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from align_core.runs.json_lines import to_line
from benchmarks.common import DOCS, machine, table, write_section

RESULTS = Path(__file__).with_name("many_runs.json")
PAGE = DOCS / "benchmarks.md"
COUNTS = (10, 100, 1000, 3000)
MOST_FIRST, MOST_POLL = 200.0, 2.0  # ms
POLLS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    if not parser.parse_args().render:
        results = {"machine": machine(1), "counts": {str(n): measure(n) for n in COUNTS}}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "many runs", text)
    print(text)


def measure(count: int) -> dict[str, float]:
    """Milliseconds of processor time for the first list of runs, the next one, and a poll."""
    from playground import text
    from playground.content.new_events import Cursor
    from playground.handlers.train import TrainHandlers

    gc.freeze()  # as the page does at its start
    with tempfile.TemporaryDirectory() as folder:
        names = [_stored(Path(folder), number) for number in range(count)]
        client = Client(folder)
        train = TrainHandlers(client, text.load())
        first = _milliseconds(client.runs)
        cursor = train.live.delta(Cursor.of({"run": names[0], "chosen": True}))
        known = {name: cursor[name] for name in ("run", "offset")}
        return {
            "first": first,
            "next": _milliseconds(client.runs, POLLS),
            "poll": _milliseconds(lambda: train.live.new_events(Cursor.of(known)), POLLS),
        }


def _stored(root: Path, number: int) -> str:
    config = resolve("ppo", "reviews", seed=number % 10)
    run = RunDirectory.create(root / f"2026-01-02-{number:06d}-ppo-reviews", config)
    run.events_path.write_text(_log())
    return run.path.name


@cache
def _log() -> str:
    """The log of a run of 60 steps."""
    loss = {"kind": "metrics", "seconds": 1.0, "metrics": {"loss": 1.0}}
    end = {"kind": "status", "step": 60, "seconds": 60.0, "status": "finished", "message": ""}
    events = [*({**loss, "step": step} for step in range(60)), end]
    return "".join(f"{to_line(event)}\n" for event in events)


def _milliseconds(call: Callable[[], Any], times: int = 1) -> float:
    began = time.process_time()
    for _ in range(times):
        call()
    return 1000 * (time.process_time() - began) / times


def render(results: dict[str, Any]) -> str:
    """The section of the page."""
    rows = [
        [count, *(_shown(row[name], most) for name, most in
                  (("first", MOST_FIRST), ("next", MOST_POLL), ("poll", MOST_POLL)))]
        for count, row in results["counts"].items()
    ]  # fmt: skip
    head = ["runs", f"first list (≤ {MOST_FIRST:g})", "next list", f"poll (≤ {MOST_POLL:g})"]
    return f"Machine: {results['machine']}.\n\n{table(head, rows)}"


def _shown(value: float, most: float) -> str:
    return f"{value:.2f}" if value <= most else f"**{value:.2f} ✗**"


if __name__ == "__main__":
    main()
