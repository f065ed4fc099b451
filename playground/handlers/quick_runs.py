"""Requests of the Lab view's cards: quick runs of the experiments."""

from __future__ import annotations

import json
from typing import Any

from align_core import experiments
from align_core.config import model_index
from playground.handlers.queue_handlers import QueueHandlers
from playground.people.visitors import Visitor
from playground.text import durations, messages

NAMES = experiments.TRAINED  # the others are interactive on their cards, or take seconds
_MEASURED = model_index.ASSETS / "lab_quick.json"  # written by benchmarks.lab_quick


def seconds(name: str) -> float | None:
    """The measured seconds of an experiment's quick run on two cores; None if not measured."""
    try:
        return json.loads(_MEASURED.read_text(encoding="utf-8"))["seconds"][name]
    except (OSError, LookupError):
        return None


class QuickRunHandlers(QueueHandlers):
    """Handlers of the cards. They validate the requests of visitors."""

    def labels(self) -> dict[str, str]:
        """The label of each experiment's button, with the duration of its quick run if known."""
        words = self._words["lab"]["quick_run"]
        labels = {}
        for name in NAMES:
            expected = seconds(name)
            time = expected and durations.duration(expected, self._words)
            labels[name] = words["start_needs"].format(time=time) if time else words["start"]
        return labels

    def states(self, stamps: Any, visitor: Visitor = None) -> dict[str, Any]:
        """The state of the newest quick run of each experiment, by the experiment's name.

        status:  None if there is none, "waiting" in the queue, or as `QuickRuns.state`
        own:     whether the quick run is the visitor's
        steers:  whether the visitor may stop it
        sentence: the state in words
        done:    for a live quick run, the share of its parts that are done, from 0 to 1
        stamp:   the time when a finished one began, which identifies its result
        result:  for a finished one, the `panels` of its figure and a line on its `size`; None if
                 `stamps`, {experiment: stamp}, has this stamp
        """
        stamps = stamps if isinstance(stamps, dict) else {}
        return {name: self._state(name, stamps.get(name), visitor) for name in NAMES}

    def start(self, name: Any, visitor: Visitor = None) -> str:
        """Start or queue a quick run of an experiment. Returns an error message, or ""."""
        return self._join(visitor, name, seconds(name)) if name in NAMES else ""

    def stop(self, name: Any, visitor: Visitor = None) -> None:
        """Stop a quick run that the visitor may stop, or remove it from the queue."""
        if name not in NAMES:
            return
        if self._queue.queued_quick_run(visitor) == name:
            self._queue.leave(visitor)
        elif self._queue.may_stop_quick_run(visitor, name):
            self._queue.quick_runs.stop(name)

    def _state(self, name: str, stamp: Any, visitor: Visitor) -> dict[str, Any]:
        words = self._words["lab"]["quick_run"]
        if self._queue.is_quick_run_queued(name):
            is_own = self._queue.queued_quick_run(visitor) == name
            own_sentence = self._waiting_sentence(visitor) if is_own else ""
            sentence = own_sentence or words["waits_other"]
            return {"status": "waiting", "own": is_own, "steers": is_own, "sentence": sentence}
        newest = self._queue.quick_runs.state(name)
        if newest is None:
            return {"status": None, "own": False, "steers": False, "sentence": ""}
        status, is_own = newest["status"], newest["owner"] == visitor
        state = {
            "status": status,
            "own": is_own,
            "steers": self._queue.may_stop_quick_run(visitor, name),
        }
        owner_words = words["own" if is_own else "other"]
        if status == "running":
            progress = words["running" if newest["count"] else "starting"].format(**newest)
            done = newest["done"] / max(1, newest["count"])
            return {**state, "done": done, "sentence": f"{owner_words} {progress}"}
        outcome = messages.translate(newest, self._words) or words[status].format(
            time=durations.duration(newest["ended"] - newest["began"], self._words)
        )
        state["sentence"] = f"{owner_words} {outcome}"
        if status == "finished":
            state["stamp"] = newest["began"]
            state["result"] = None if stamp == newest["began"] else self._result(name)
        return state

    def _result(self, name: str) -> dict[str, Any] | None:
        words = self._words["lab"]
        try:
            result = self._queue.quick_runs.result(name)
        except OSError:  # a new quick run replaces it at this moment
            return None
        size = words["quick_run"]["size"].format(runs=result["runs"], seeds=result["seeds"])
        panels = experiments.load(name).panels(result, words["figures"])
        return {"panels": panels, "size": size}
