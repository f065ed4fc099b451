"""The estimated duration of a run: from similar runs here, else from recorded ones."""

from __future__ import annotations

import contextlib
from functools import cached_property

from align_core.config.errors import ConfigError
from align_core.config.run_config import RunConfig
from align_core.runs import presets
from align_core.runs.durations import Speed, speed, time_needed
from align_core.runs.index import RunIndex
from align_core.runs.machine_speed import MachineSpeed

# Two runs that agree in these fields take about the same time for a step.
_SPEED_FIELDS = (
    *("method", "task", "model", "pair_source"),
    *("freeze_trunk", "batch_size", "lora_r"),
    *("lora_layers", "precision", "device"),
    *("eval_prompts", "eval_samples"),
)


class Estimates:
    """Estimates for runs on this machine, from the runs of `index` and from recorded ones."""

    def __init__(self, index: RunIndex) -> None:
        self.machine = MachineSpeed()
        self._index = index

    def seconds(self, config: RunConfig, delay: float = 0.0) -> float | None:
        """Seconds that a run will take, with `delay` seconds between two steps; None if unknown.

        They come from the newest run here that agrees in `_SPEED_FIELDS`. Without such a run, they
        come from a recorded run that agrees in these fields, the one with the most equal settings,
        scaled to the speed of this machine.
        """
        known = self._newest(config)
        if known is None and self.machine.slowness is not None:
            recorded = self._most_similar(config)
            known = recorded and recorded.slowed(self.machine.slowness)
        return None if known is None else time_needed(config.model_dump(), known, delay)

    def _newest(self, config: RunConfig) -> Speed | None:
        for run in self._index.names():
            with contextlib.suppress(ConfigError):  # deleted or damaged since it was listed
                directory = self._index.directory(run)
                comparable = _same_speed(config, directory.config)
                if comparable and (measured := speed(directory.events()[0])):
                    return measured
        return None

    def _most_similar(self, config: RunConfig) -> Speed | None:
        settings = config.model_dump().items()
        similar = [
            (sum(getattr(other, name) == value for name, value in settings), measured)
            for other, measured in self._recorded
            if _same_speed(config, other)
        ]
        return max(similar, key=lambda pair: pair[0], default=(0, None))[1]

    @cached_property
    def _recorded(self) -> list[tuple[RunConfig, Speed]]:
        return presets.speeds()


def _same_speed(first: RunConfig, second: RunConfig) -> bool:
    return all(getattr(first, name) == getattr(second, name) for name in _SPEED_FIELDS)
