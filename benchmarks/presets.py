"""Runs the presets, checks their promises, and records the runs if requested.

    python -m benchmarks.presets                      run all and check their promises
    python -m benchmarks.presets --record             also store the runs that keep them
    python -m benchmarks.presets --record --missing   only those not recorded with their settings
    python -m benchmarks.presets --render             write the table in docs/lesson.md

A promise is what a preset's run should show, as numbers (`runs/preset_checks.py`). Runs are started
one after the other, as the page starts them, in a process of the forkserver. A recording is the
run's directory and the name of the machine. The recordings of MODELS have the run's model, as its
difference from the embedded model; the others have no model.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from align_core.config import model_index
from align_core.config.errors import ConfigError
from align_core.config.model_index import SMOLLM2
from align_core.models.difference import save_difference
from align_core.runs import presets
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from align_core.runs.events import FINAL, of_kind, series
from align_core.runs.machine_speed import PROBE_SECONDS
from align_core.runs.preset_checks import Check, checks
from align_core.runs.presets import Preset
from align_core.training.machine_probe import probe_seconds
from benchmarks.common import DOCS, machine, table, write_section
from playground import text

PAGE = DOCS / "lesson.md"
# Presets whose model is stored, so that Try it, Score it and win rates need no run. A model takes
# 0.8 MB, and all assets may take 40 MB.
MODELS = ("healthy-ppo", "healthy-dpo", "noisy-raters", "reward-hacking", "hacking-mended")
SAME = 0.01  # nats, the last digit that the page shows
LONGEST, LONGEST_REAL = 90, 900  # seconds, at the speed of the machine of the recordings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="store the runs that keep promises")
    parser.add_argument(
        "--missing", action="store_true", help="only presets without an up-to-date recording"
    )
    parser.add_argument("--only", choices=presets.names(), action="append", help="only these")
    parser.add_argument("--render", action="store_true", help="only write the page")
    args = parser.parse_args()
    if args.render:
        write_section(PAGE, "presets", render())
        return
    chosen = [presets.load(name) for name in args.only or presets.names()]
    if args.missing:
        chosen = [preset for preset in chosen if not is_recorded(preset)]
    with tempfile.TemporaryDirectory() as folder:
        client = Client(folder)
        _run(client, method="sft", task="reviews", steps=1)  # starts the forkserver
        broken = [preset.name for preset in chosen if not check(client, preset, args.record)]
        client.close()
    if broken:
        sys.exit(f"promises not kept: {', '.join(broken)}")


def check(client: Client, preset: Preset, record: bool) -> bool:
    """Run a preset; returns whether the run keeps the promise within the time of its model."""
    run = _run(client, **preset.settings)
    results = all_checks(preset, run)
    kept = all(result.holds for result in results)
    print(f"{preset.name}: {'; '.join(map(str, results))}", flush=True)
    if kept and record:
        store(preset, run)
    return kept


def all_checks(preset: Preset, run: RunDirectory) -> list[Check]:
    """The checks of the preset's promise and of the time of a run.

    A machine that takes twice as long for the probe may take twice as long for the run.
    """
    events = run.events()[0]
    seconds = events[-1]["seconds"] * PROBE_SECONDS / _probe_seconds()
    longest = LONGEST_REAL if run.config.model == SMOLLM2 else LONGEST
    return [
        *checks(preset.promise, series(events)),
        Check("seconds", seconds, most=longest),
    ]


@cache
def _probe_seconds() -> float:
    seconds = probe_seconds()
    print(f"The probe takes {1000 * seconds:.1f} ms here.", flush=True)
    return seconds


def is_recorded(preset: Preset) -> bool:
    """Whether there is a recording with the preset's present settings, and its model."""
    try:
        recording = RunDirectory.open(preset.recording)
    except ConfigError:
        return False
    has_model = recording.model_path.is_dir()
    return recording.config == preset.config and has_model == (preset.name in MODELS)


def store(preset: Preset, run: RunDirectory) -> None:
    """Replace the recording of the preset by this run, with its model if it is one of MODELS.

    A recording that the run repeats stays, with its times, and gets what it lacks.
    """
    if repeats(run, preset):
        add_measurements(preset.recording / "events.jsonl", run)
    else:
        shutil.rmtree(preset.recording, ignore_errors=True)
        preset.recording.mkdir(parents=True)
        for path in (run.path / "config.json", run.events_path):
            shutil.copy(path, preset.recording)
        hardware = machine().partition(",")[0]  # versions are in config.json
        (preset.recording / "machine.txt").write_text(hardware + "\n", encoding="utf-8")
        store_slowness(hardware)
    if preset.name in MODELS:
        save_difference(str(run.path), run.config.model, preset.recording / "model")


def store_slowness(hardware: str) -> None:
    """Write how slow this machine is into `speeds.json`, for the estimates of `presets.speeds`."""
    path = model_index.ASSETS / "speeds.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["machines"][hardware] = round(_probe_seconds() / PROBE_SECONDS, 3)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def add_measurements(log: Path, run: RunDirectory) -> None:
    """Add to a recorded log what its last evaluation lacks and the run's has: metrics, and the
    distance from the optimum. The recorded times stay."""
    events, recorded = run.events()[0], [json.loads(line) for line in log.open(encoding="utf-8")]
    before, now = (
        next((e["metrics"] for e in reversed(lines) if "eval/kl" in e.get("metrics", {})), {})
        for lines in (recorded, events)
    )
    before |= {name: value for name, value in now.items() if name not in before}
    found = of_kind(events, "distance")
    if found and not of_kind(recorded, "distance"):
        recorded.insert(-1, {**found[-1], "seconds": recorded[-1]["seconds"]})
    log.write_text("".join(f"{json.dumps(event)}\n" for event in recorded), encoding="utf-8")


def repeats(run: RunDirectory, preset: Preset) -> bool:
    """Whether the run has the settings of the preset's recording, and at each evaluation its gold
    reward and KL to within SAME. Another order of sums changes last digits, and so a few texts."""
    try:
        recording = RunDirectory.open(preset.recording)
    except ConfigError:
        return False
    before, now = (series(directory.events()[0]) for directory in (recording, run))
    for name in ("eval/gold_reward", "eval/kl"):
        values, again = dict(before[name]), dict(now[name])
        if values.keys() != again.keys():
            return False
        if any(abs(value - again[step]) > SAME for step, value in values.items()):
            return False
    return recording.config == run.config


def render() -> str:
    """A row for each recorded preset, in the order of their names."""
    named = text.load()["presets"]["cards"]
    head = ["preset", "method", "β", "gold: start", "best", "end", "KL at the end", "seconds"]
    rows = []
    for preset in map(presets.load, presets.names()):
        events = RunDirectory.open(preset.recording).events()[0]
        gold, kl = (
            [value for _, value in series(events).get(f"eval/{name}", [])]
            for name in ("gold_reward", "kl")
        )
        numbers = [gold[0], max(gold), gold[-1], kl[-1]] if gold else []
        beta = preset.config.beta
        rows.append(
            [
                named[preset.name]["name"],
                preset.config.method,
                "–" if beta is None else f"{beta:g}",
                *([f"{value:.2f}" for value in numbers] or ["–"] * 4),
                f"{events[-1]['seconds']:.0f}",
            ]
        )
    return table(head, rows)


def _run(client: Client, **options) -> RunDirectory:
    client.make_room()  # the process of the run before may still be exiting
    name = client.start(**options)
    while (client.status(name) or {}).get("status") not in FINAL:
        time.sleep(0.2)
    return RunDirectory(client.root / name)


if __name__ == "__main__":
    main()
