"""Creates a preset with a recorded run, as `benchmarks.presets` does, but without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from align_core.config.run_config import resolve
from align_core.runs.directory import RunDirectory
from tests.playground.scripted import samples

MACHINE = "2 cores of nobody's machine"


def record(assets: Path, name: str, settings: dict[str, Any], model: bool = False) -> None:
    """Record a run with evaluations at steps 0, 1 and 2, after 2, 6 and 10 seconds.

    Its `model` has no weights, like the embedded models of `fake_assets`.
    """
    presets = assets / "presets"
    presets.mkdir(exist_ok=True)
    promise = {"rule": "keeps", "gain": 0, "lost": 1}
    (presets / f"{name}.json").write_text(json.dumps({"settings": settings, "promise": promise}))
    run = RunDirectory.create(presets / name, resolve(**settings))

    def write(kind: str, step: int, seconds: float, **content: Any) -> None:
        run.append({"kind": kind, "step": step, "seconds": seconds, **content})

    write("status", 0, 0.1, status="running", message="")
    for step, seconds in ((0, 2.0), (1, 6.0), (2, 10.0)):
        measured = {"eval/kl": 0.5 * step, "eval/gold_reward": 1.0, "eval/gain": 0.4 * step}
        write("metrics", step, seconds, metrics=measured)
        write("samples", step, seconds, samples=samples(step / 2))
    write("status", 2, 10.5, status="finished", message="")
    run.close()
    if model:
        (presets / name / "model").symlink_to(assets / "models" / run.config.model)
    (presets / name / "machine.txt").write_text(MACHINE + "\n")
