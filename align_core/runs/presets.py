"""Presets: settings worth seeing, what their run promises, and a recorded run of each.

`assets/presets/NAME.json` holds `settings`, as `run_config.resolve` takes them, and the `promise`,
a rule of `preset_checks` with its thresholds. The folder NAME beside it is the recorded run, a run
directory without its model, with the machine it came from in machine.txt.
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
    """What its file says."""

    name: str
    settings: dict[str, Any]
    promise: dict[str, Any]

    @property
    def config(self) -> RunConfig:
        """The full configuration of its run."""
        return resolve(**{"method": None, "task": None, **self.settings})

    @property
    def recording(self) -> Path:
        """Where its recorded run is, or would be."""
        return _folder() / self.name

    @property
    def machine(self) -> str:
        """On what the recorded run was made."""
        return (self.recording / "machine.txt").read_text(encoding="utf-8").strip()


def names() -> list[str]:
    """The names of all presets, in no order that matters."""
    return sorted(path.stem for path in _folder().glob("*.json"))


def load(name: str) -> Preset:
    """The preset of one of the `names`."""
    content = json.loads((_folder() / f"{name}.json").read_text(encoding="utf-8"))
    return Preset(name, content["settings"], content["promise"])


def speeds() -> list[tuple[RunConfig, Speed]]:
    """How fast the recorded runs were, on the machines that they come from."""
    found = []
    for preset in map(load, names()):
        if known := speed(RunDirectory(preset.recording).events()[0]):
            found.append((preset.config, known))
    return found


def _folder() -> Path:
    return model_index.ASSETS / "presets"
