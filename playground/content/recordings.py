"""The presets as the page shows them: cards, and their recorded runs, played to each visitor.

A recorded run is a run like any other, named "recorded/NAME", whose events a page gets as if it ran
just now, SPEED times as fast.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from typing import Any

from align_core.runs import presets
from align_core.runs.directory import RunDirectory
from playground.content import charts
from playground.content.summaries import Summaries

PREFIX = "recorded/"
FIRST = f"{PREFIX}healthy-ppo"  # what a page plays before there is any run
SPEED = 4.0


def recorded() -> dict[str, Recording]:
    """The recorded runs of the presets, by name; each is read once it is asked for."""
    known = [Recording(presets.load(name)) for name in presets.names()]
    return {PREFIX + run.preset.name: run for run in known if run.exists}


class Recordings:
    """The recorded runs of the presets, played. Threads may share them."""

    def __init__(self, summaries: Summaries) -> None:
        self._summaries = summaries
        self._runs = recorded()

    def __contains__(self, run: Any) -> bool:
        return isinstance(run, str) and run in self._runs

    def cards(self) -> dict[str, dict[str, Any]]:
        """By its name, what a page knows of each preset: its run's `config` and `machine`."""
        return {
            run.preset.name: {
                # A public machine's limit makes a run no other than the preset's.
                "config": {k: v for k, v in run.config.items() if k != "time_limit"},
                "machine": run.preset.machine,
            }
            for run in self._runs.values()
        }

    def config(self, run: str) -> dict[str, Any]:
        """The configuration of a recorded run."""
        return self._runs[run].config

    def delta(self, run: str, cursor: dict[str, Any]) -> dict[str, Any]:
        """What has come past `cursor` ({"run", "offset", "elapsed"}): as `TrainHandlers.delta`.

        `elapsed` are the seconds since the run was new to the page. It is played from the point
        where its reference was measured: nothing has to be loaded now.
        """
        recording, offset, elapsed = self._runs[run], cursor.get("offset"), cursor.get("elapsed")
        config = None
        if run != cursor.get("run") or not isinstance(offset, int) or offset < 0:
            config, offset, elapsed = recording.config, 0, 0.0
        played = SPEED * elapsed if isinstance(elapsed, int | float) else 0.0
        reached = max(offset, bisect_right(recording.seconds, recording.start + played))
        events = recording.events[offset:reached]
        story = None
        if events:
            told = self._summaries.tell(recording.config, recording.events[:reached])
            story = {**told, "left": None}
        found = {"run": run, "offset": reached, "config": config, "story": story}
        return {**found, **charts.delta(events)}


class Recording:
    """A recorded run, read once it is asked for."""

    def __init__(self, preset: presets.Preset) -> None:
        self.preset = preset
        self._directory = RunDirectory(preset.recording)
        self.exists = self._directory.events_path.is_file()

    @cached_property
    def config(self) -> dict[str, Any]:
        return self._directory.config.model_dump()

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        return self._directory.events()[0]

    @cached_property
    def seconds(self) -> list[float]:
        return [event["seconds"] for event in self.events]

    @cached_property
    def start(self) -> float:
        return max(event["seconds"] for event in self.events if event["step"] == 0)
