"""What the controls and the live view ask of the server, for any number of visitors."""

from __future__ import annotations

import math
import time
from typing import Any

import gradio as gr

from align_core.client import Busy, Client
from align_core.configs import ONLY_FOR, ConfigError, flag, resolve
from playground import charts

FIRST_TASK, FIRST_METHOD = "reviews", "ppo"
NUMBERS = ("beta", "steps", "learning_rate", "seed")


class Steering:
    """Handlers of the Train view. What a visitor sends is checked here or by the client."""

    def __init__(self, client: Client, words: dict[str, Any]) -> None:
        self._client = client
        self._words = words

    def choose(self, task: str, method: str) -> list[Any]:
        """A task or method was chosen: its explanations and its default NUMBERS."""
        return self._settings(resolve(method, task).model_dump())

    def restore(self) -> list[Any]:
        """A page was opened: task, method and settings of the run that it is going to show."""
        run = self._shown()
        if run is None:
            return [FIRST_TASK, FIRST_METHOD, *self.choose(FIRST_TASK, FIRST_METHOD)]
        config = self._client.config(run)
        return [config["task"], config["method"], *self._settings(config)]

    def start(self, task: str, method: str, *numbers: float | None) -> list[Any]:
        """Run was pressed: the run that began (or None), and the complaints.

        A complaint is [field, line]; its field is "" where it is about none in particular.
        """
        options = dict(zip(NUMBERS, numbers, strict=True))
        if method not in ONLY_FOR["beta"]:
            del options["beta"]
        # A field that is empty or holds no number is a slip to tell, not a wish for the default.
        options = {name: math.nan if value is None else value for name, value in options.items()}
        run, complaints = None, []
        try:
            run = self._client.start(task=task, method=method, **options)
        except ConfigError as error:
            complaints = [self._complaint(line) for line in error.lines]
        except Busy:
            complaints = [["", self._words["controls"]["busy"]]]
        return [{"run": run, "pressed": time.time()}, complaints]

    def command(self, name: str) -> None:
        """Pause, resume, step or stop the live run, if there is one."""
        if run := self._client.current():
            self._client.send(run, name)

    def delta(self, cursor: dict[str, Any]) -> dict[str, Any]:
        """What a log holds past `cursor` ({"run", "offset"}): a new cursor and `charts.delta`.

        A page follows the live run; without one it stays with the run that it shows. A run that
        is new to the page comes with its `config` and from its beginning.
        """
        run = self._shown(cursor.get("run"))
        if run is None:
            return {"run": None}
        config, offset = None, cursor.get("offset")
        if run != cursor.get("run") or not isinstance(offset, int) or offset < 0:
            config, offset = self._client.config(run), 0
            self._client.status(run)  # a run whose process is gone gets its last words here
        events, offset = self._client.events(run, offset)
        return {"run": run, "offset": offset, "config": config, **charts.delta(events)}

    def _shown(self, watched: str | None = None) -> str | None:
        if live := self._client.current():
            return live
        runs = self._client.runs()
        return watched if watched in runs else next(iter(runs), None)

    def _settings(self, config: dict[str, Any]) -> list[Any]:
        return [
            self._words["tasks"][config["task"]]["explanation"],
            self._words["methods"][config["method"]]["explanation"],
            gr.update(value=config["beta"], visible=config["method"] in ONLY_FOR["beta"]),
            *(config[name] for name in NUMBERS[1:]),
        ]

    def _complaint(self, line: str) -> list[str]:
        for field in ("task", "method", *NUMBERS):
            if line.startswith(flag(field) + " "):
                labels = self._words["controls"]
                line = labels[field] + line.removeprefix(flag(field))
                return [field, line.replace("got nan", labels["no_number"])]
        return ["", line]
