"""Presets: settings worth trying, the behaviour that they promise, and a recorded run of each.

`assets/presets/NAME.json` holds `settings`, the arguments of `run_config.resolve`, and the
`promise`, a rule of `preset_checks` with its thresholds. The folder NAME beside it is the recorded
run: a run directory without its model, and with a machine.txt that names the machine.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_core.config import model_index
from align_core.config.run_config import RunConfig, resolve
from align_core.runs.directory import RunDirectory
from align_core.runs.durations import Speed, speed


@dataclass(frozen=True)
class Preset:
    """The content of a preset's file."""

    name: str
    settings: dict[str, Any]
    promise: dict[str, Any]

    @property
    def config(self) -> RunConfig:
        """The full configuration of its run."""
        return resolve(**{"method": None, "task": None, **self.settings})

    @property
    def recording(self) -> Path:
        """The folder of its recorded run, which need not exist."""
        return _folder() / self.name

    @property
    def machine(self) -> str:
        """The machine on which the recorded run was made."""
        return (self.recording / "machine.txt").read_text(encoding="utf-8").strip()


def names() -> list[str]:
    """The names of all presets, sorted."""
    return sorted(path.stem for path in _folder().glob("*.json"))


def load(name: str) -> Preset:
    """The preset of one of the `names`."""
    content = json.loads((_folder() / f"{name}.json").read_text(encoding="utf-8"))
    return Preset(name, content["settings"], content["promise"])


def speeds() -> list[tuple[RunConfig, Speed]]:
    """The configuration and speed of each recorded run, on the machine that made it."""
    recorded = []
    for preset in map(load, names()):
        if measured := speed(RunDirectory(preset.recording).events()[0]):
            recorded.append((preset.config, measured))
    return recorded


def _folder() -> Path:
    return model_index.ASSETS / "presets"
