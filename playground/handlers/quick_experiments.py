"""The lab's experiments at their quick size, tried live from their cards by any visitor."""

from __future__ import annotations

import json
from typing import Any

from align_core import experiments
from align_core.config import model_index
from playground.content import lab_figures
from playground.people.run_queue import AlreadyHasRun, RunQueue
from playground.people.visitors import Visitor
from playground.text import durations, messages

NAMES = tuple(name for name in experiments.NAMES if name != "coverage")  # which trains at once
_MEASURED = model_index.ASSETS / "lab_quick.json"  # by benchmarks.lab_quick


def seconds(name: str) -> float | None:
    """What trying an experiment took on two cores, as was measured; None where it was not."""
    try:
        return json.loads(_MEASURED.read_text(encoding="utf-8"))["seconds"][name]
    except (OSError, LookupError):
        return None


class QuickExperimentHandlers:
    """Handlers of the cards. What a visitor sends is checked here."""

    def __init__(self, queue: RunQueue, words: dict[str, Any]) -> None:
        self._queue = queue
        self._words = words

    def labels(self) -> dict[str, str]:
        """What stands on the button of each experiment: how long it will take."""
        words = self._words["lab"]["trial"]
        labels = {}
        for name in NAMES:
            needed = seconds(name)
            time = needed and durations.duration(needed, self._words)
            labels[name] = words["start_needs"].format(time=time) if time else words["start"]
        return labels

    def look(self, known: Any, visitor: Visitor = None) -> dict[str, Any]:
        """How the newest trial of each experiment stands, by its name.

        `status` is None where it was never tried, "waiting" in line, or as `Trials.state`; `own`:
        whether it is the visitor's; `steers`: whether they may stop it; `told`: a sentence; `done`:
        the share that is, of a live one. One that has finished has its `stamp`, and, where `known`
        ({experiment: stamp}) does not have that, its `result`: the panels of its figure, and a line
        on its `size`.
        """
        stamps = known if isinstance(known, dict) else {}
        return {name: self._stands(name, stamps.get(name), visitor) for name in NAMES}

    def attempt(self, name: Any, visitor: Visitor = None) -> str:
        """Try an experiment, now or in turn. Returns why that cannot be, or ""."""
        if name not in NAMES:
            return ""
        try:
            self._queue.join_trial(visitor, name, seconds(name))
        except AlreadyHasRun:
            return self._words["visitors"]["one_each"]
        except OSError as error:
            return str(error)
        return ""

    def stop(self, name: Any, visitor: Visitor = None) -> None:
        """Stop a trial that the visitor may stop, or take it out of the line."""
        if name not in NAMES:
            return
        if self._queue.queued_trial(visitor) == name:
            self._queue.leave(visitor)
        elif self._queue.may_stop_trial(visitor, name):
            self._queue.trials.stop(name)

    def _stands(self, name: str, stamp: Any, visitor: Visitor) -> dict[str, Any]:
        words = self._words["lab"]["trial"]
        if self._queue.is_trial_queued(name):
            own = self._queue.queued_trial(visitor) == name
            place = self._queue.position(visitor) if own else None
            told = words["waits_other"]
            if place:
                wait = durations.wait(place.seconds, place.sure, self._words)
                told = words["waits"].format(n=place.number, wait=wait)
            return {"status": "waiting", "own": own, "steers": own, "told": told}
        state = self._queue.trials.state(name)
        if state is None:
            return {"status": None, "own": False, "steers": False, "told": ""}
        status, own = state["status"], state["owner"] == visitor
        found = {"status": status, "own": own, "steers": self._queue.may_stop_trial(visitor, name)}
        told = words["own" if own else "other"]
        if status == "running":
            said = words["running" if state["count"] else "starting"]
            found["done"] = state["done"] / max(1, state["count"])
            return {**found, "told": " ".join((told, said.format(**state)))}
        said = messages.translate(state, self._words) or words[status].format(
            time=durations.duration(state["ended"] - state["began"], self._words)
        )
        found["told"] = " ".join((told, said))
        if status == "finished":
            found["stamp"] = state["began"]
            found["result"] = None if stamp == state["began"] else self._result(name)
        return found

    def _result(self, name: str) -> dict[str, Any] | None:
        words = self._words["lab"]
        try:
            result = self._queue.trials.result(name)
        except OSError:  # another trial is just taking its place
            return None
        size = words["trial"]["size"].format(runs=result["runs"], seeds=result["seeds"])
        return {"panels": lab_figures.panels(name, result, words["figures"]), "size": size}
