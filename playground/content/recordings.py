"""The presets' recorded runs, replayed to each visitor.

A recorded run is named "recorded/NAME", and so is its model, if it has one. A page receives its
events as if it were running now, SPEED times as fast, and a long run so fast that the replay takes
at most LONGEST seconds.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from functools import cached_property
from math import ceil
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.model_index import RECORDED
from align_core.runs import presets
from align_core.runs.directory import RunDirectory
from playground.content import charts
from playground.content.histories import History, history
from playground.content.new_events import Cursor
from playground.content.summaries import Summaries

CLOCK = "timing/seconds"  # how long a recorded run had taken at each of its evaluations
# The metrics that the frontier chart needs for the trail of a run and for a race of two runs.
TRAIL = ("eval/kl", charts.GAIN, CLOCK)
FIRST = f"{RECORDED}healthy-ppo"  # shown while there is no run yet
SPEED = 4.0
LONGEST = 30.0  # seconds
_LOG = logging.getLogger(__name__)


def recorded() -> dict[str, Recording]:
    """Name -> recorded run of each preset that has one. The files are read when needed."""
    recordings = {RECORDED + name: Recording(presets.load(name)) for name in presets.names()}
    return {name: recording for name, recording in recordings.items() if recording.exists}


class Recordings:
    """Replays the recorded runs of the presets. Thread-safe."""

    def __init__(self, summaries: Summaries) -> None:
        self._summaries = summaries
        self._recordings = recorded()

    def __contains__(self, run: Any) -> bool:
        return isinstance(run, str) and run in self._recordings

    def cards(self) -> dict[str, dict[str, Any]]:
        """Each preset's recorded run, by the preset's name: its `config`, its `machine`, the
        `seconds` that it took, and the `speed` of its replay."""
        return {
            recording.preset.name: {
                # A run with a public server's time limit is still a run of the preset.
                "config": {k: v for k, v in recording.config.items() if k != "time_limit"},
                "machine": recording.preset.machine,
                "seconds": recording.end,
                "speed": recording.speed,
            }
            for recording in self._recordings.values()
        }

    def with_model(self) -> list[str]:
        """The names of the recorded runs whose model comes with the recording."""
        return [name for name, recording in self._recordings.items() if recording.has_model]

    def config(self, run: str) -> dict[str, Any]:
        """The configuration of a recorded run."""
        return self._recordings[run].config

    def delta(self, run: str, cursor: Cursor) -> dict[str, Any]:
        """The events after `cursor`, in the form of `LiveView.delta`.

        The replay starts at the evaluation of the reference, without the time for loading the
        models.
        """
        recording, config = self._recordings[run], None
        offset, elapsed = cursor.offset, cursor.elapsed
        if run != cursor.run or offset is None:
            config, offset, elapsed = recording.config, 0, 0.0
        end = max(offset, recording.events_until(elapsed))
        events = recording.events[offset:end]
        summary = None
        if events:
            summary = self._summaries.summarise(recording.config, recording.events[:end])
            summary["time_left"] = None
        return {
            "run": run,
            "offset": end,
            "config": config,
            "summary": summary,
            **_delta(events),
        }

    def trail(self, run: Any) -> dict[str, Any] | None:
        """All events of a recorded run, in the form of `delta`, but with only the points of TRAIL
        and only the texts of the policy; None for an unknown run."""
        if run not in self:
            return None
        recording = self._recordings[run]
        delta = _delta(recording.events)
        points = {metric: delta["points"][metric] for metric in TRAIL if metric in delta["points"]}
        samples = [
            {
                **entry,
                "rows": [
                    {name: row[name] for name in ("prompt", "policy")} for row in entry["rows"]
                ],
            }
            for entry in delta["samples"]
        ]
        trail = {**delta, "points": points, "samples": samples}
        offset = len(recording.events)
        return {"run": run, "offset": offset, "config": recording.config, **trail}


def _delta(events: list[dict[str, Any]]) -> dict[str, Any]:
    """`charts.delta` of events, with the CLOCK among its points."""
    delta = charts.delta(events)
    measured = [event for event in events if "eval/kl" in event.get("metrics", {})]
    if measured:
        delta["points"][CLOCK] = [[event["step"], event["seconds"]] for event in measured]
    return delta


class Recording:
    """The recorded run of a preset. Its files are read when needed."""

    def __init__(self, preset: presets.Preset) -> None:
        self.preset = preset
        self._directory = RunDirectory(preset.recording)
        self.exists = self._directory.size() > 0 and self._can_read()
        self.has_model = self._directory.model_path.is_dir()

    @cached_property
    def config(self) -> dict[str, Any]:
        return self._directory.config.model_dump()

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        return self._directory.events()[0]

    @cached_property
    def histories(self) -> dict[str, History]:
        return history(self.config, self.events)

    @cached_property
    def seconds(self) -> list[float]:
        return [event["seconds"] for event in self.events]

    @cached_property
    def start(self) -> float:
        """The time at which the reference was evaluated, in seconds."""
        return max((event["seconds"] for event in self.events if event["step"] == 0), default=0.0)

    @property
    def end(self) -> float:
        """The time of the last event, in seconds; 0 if there is none."""
        return self.seconds[-1] if self.seconds else 0.0

    @property
    def speed(self) -> float:
        """The factor by which the replay is faster than the run was, a whole number."""
        return max(SPEED, ceil((self.end - self.start) / LONGEST))

    def events_until(self, elapsed: float) -> int:
        """The number of events in the first `elapsed` seconds of the replay."""
        return bisect_right(self.seconds, self.start + self.speed * elapsed)

    def _can_read(self) -> bool:
        try:
            self._directory.check()
        except ConfigError as error:
            _LOG.warning("The recording of %s is skipped: %s", self.preset.name, error.lines[0])
            return False
        return True
