"""Presets: settings worth trying, the behaviour that they promise, and a recorded run of each.

`assets/presets/NAME.json` holds `settings`, the arguments of `run_config.resolve`, and the
`promise`, a rule of `preset_checks` with its thresholds. The folder NAME beside it is the recorded
run: a run directory with a machine.txt that names the machine. A few of them have a folder `model`,
which stores the weights as the difference to the model that the run started from.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from align_core.config import model_index
from align_core.config.errors import ConfigError, option_error
from align_core.config.methods import methods
from align_core.config.run_config import RunConfig, resolve
from align_core.config.safe_files import read_bytes, read_object
from align_core.runs.directory import RunDirectory
from align_core.runs.durations import Speed, shortest_evaluation, speed

_LOG = logging.getLogger(__name__)
_LOGGED: set[str] = set()  # unreadable presets that the log has named


@dataclass(frozen=True)
class Preset:
    """The content of a preset's file."""

    name: str
    settings: dict[str, Any]
    promise: dict[str, Any]

    @property
    def config(self) -> RunConfig:
        """The full configuration of its run.

        If the settings need a model that was not fetched, this is the configuration of the recorded
        run. Raises ConfigError for invalid settings.
        """
        try:
            return resolve(**{"method": None, "task": None, **self.settings})
        except ConfigError:
            recorded = RunDirectory(self.recording)
            if recorded.size() == 0 or model_index.is_here(recorded.config.model):
                raise
            return recorded.config

    @property
    def recording(self) -> Path:
        """The folder of its recorded run. It may not exist."""
        return model_index.presets() / self.name

    @property
    def machine(self) -> str:
        """The machine on which the recorded run was made; "" if that is not known."""
        try:
            return read_bytes(self.recording / "machine.txt", 1000).decode().strip()
        except (OSError, ValueError):
            return ""


def names() -> list[str]:
    """The names of all presets that can be read, sorted."""
    return sorted(filter(_can_load, (path.stem for path in model_index.presets().glob("*.json"))))


def load(name: str) -> Preset:
    """The preset of one of the `names`.

    Raises:
        ConfigError: its file has no settings, or invalid ones.
    """
    try:
        content = read_object(model_index.presets() / f"{name}.json")
        settings, promise = content["settings"], content["promise"]
    except (OSError, ValueError, KeyError):
        settings = promise = None
    if not isinstance(settings, dict) or not isinstance(promise, dict):
        raise ConfigError(option_error("the preset", name, "a file with settings and a promise"))
    preset = Preset(name, settings, promise)
    _ = preset.config
    return preset


def _can_load(name: str) -> bool:
    try:
        load(name)
    except ConfigError as error:
        if name not in _LOGGED:
            _LOGGED.add(name)
            _LOG.warning("The preset %s is skipped: %s", name, error.lines[0])
        return False
    return True


def speeds() -> list[tuple[RunConfig, Speed]]:
    """Configurations and the speeds of their runs on an idle machine of slowness 1 (see
    `machine_speed`): those of the recorded runs, and those of `speeds.json`, which are for methods
    without a recorded run. That file also has the slowness of other machines that recorded runs.

    The shortest evaluation of a recording measures how busy its machine was: all runs of a task and
    a model have the same evaluations, which took 0.45 to 0.47 s in the runs of one day.
    """
    slowness, others = _read_speeds()
    runs = [
        (preset.config, preset.machine, RunDirectory(preset.recording).events()[0])
        for preset in map(load, names())
    ]
    shortest: dict[tuple[Any, ...], float] = {}
    for config, machine, events in runs:
        key, seconds = (machine, *_evaluated(config)), shortest_evaluation(events)
        shortest[key] = min(seconds, shortest.get(key, seconds))
    recorded = []
    for config, machine, events in runs:
        if measured := speed(events):
            busy = shortest_evaluation(events) / shortest[machine, *_evaluated(config)]
            recorded.append((config, measured.slowed(1 / (busy * slowness.get(machine, 1.0)))))
    return recorded + others


def _read_speeds() -> tuple[dict[str, float], list[tuple[RunConfig, Speed]]]:
    """The content of `speeds.json`: the slowness of machines by their names, and the speeds."""
    try:
        content = read_object(model_index.ASSETS / "speeds.json")
        slowness = {name: float(factor) for name, factor in content["machines"].items()}
        speeds = [
            (resolve(**entry["settings"]), Speed(**entry["speed"])) for entry in content["speeds"]
        ]
        if not all(factor > 0 for factor in slowness.values()):
            raise ValueError(f"expected positive numbers in machines, got {slowness}")
        return slowness, speeds
    except FileNotFoundError:
        pass
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ConfigError) as error:
        _LOG.warning("speeds.json is skipped: %s", error)
    return {}, []


def _evaluated(config: RunConfig) -> tuple[Any, ...]:
    """What the duration of an evaluation depends on."""
    makes_policy = methods()[config.method].makes == "policy"
    return config.task, config.model, config.eval_prompts, config.eval_samples, makes_policy
