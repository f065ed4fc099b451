"""What the controls and the live view ask of the server, for any number of visitors."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import Any

import gradio as gr

from align_core.config import model_index
from align_core.config.errors import ConfigError, flag
from align_core.config.messages import Message
from align_core.config.methods import owners
from align_core.config.run_config import (
    defaults,
    has,
    resolve,
)
from align_core.config.task_card import card
from align_core.runs.client import Client
from align_core.runs.events import turned
from playground.content import charts
from playground.content.recordings import FIRST, PREFIX, Recordings
from playground.content.summaries import Stories
from playground.people.run_queue import Line, OneEach
from playground.people.visitors import Visitor, Visitors
from playground.text import complaints, durations, messages
from playground.voting import provenance

FIRST_TASK, FIRST_METHOD = "reviews", "ppo"
NUMBERS = ("steps", "learning_rate", "batch_size", "seed")
PREFERENCES = ("preference_pairs", "label_noise")
ADVANCED = ("eval_every", "lora_r")
# Every setting of the page, in the order of its controls.
SETTINGS = ("beta", *NUMBERS, *PREFERENCES, "coverage", *ADVANCED)
SETTINGS += ("reward_model", "pair_source", "whiten_advantages")
PACES = (0.0, 0.5, 2.0)  # seconds between two steps
# What PPO can optimise beside the task's own reward model.
REWARDS = {"few": "reward-{task}-few", "off": "reward-{task}-off", "gold": "gold"}
SOURCES = {"pretrained": "pretrained"}  # of pairs, beside the reference
MODELS = {"reward_model": REWARDS, "pair_source": SOURCES}  # by the names that the page has
WATCHING = 1000  # visitors of whom the run they last watched is remembered


class Steering:
    """Handlers of the Train view. What a visitor sends is checked here or by the client.

    All pages of a server share one `line`; `visitor` is who asks, None a browser without a token.
    """

    def __init__(self, client: Client, words: dict[str, Any], line: Line | None = None) -> None:
        self._client = client
        self._line = line or Line(client, Visitors(client))
        self._visitors = self._line.visitors
        self._watched: OrderedDict[Visitor, str] = OrderedDict()
        self._words = words
        self._stories = Stories(client, words)
        self.recordings = Recordings(self._stories)

    def choose(self, task: str, method: str) -> list[Any]:
        """A task or method was chosen: its explanations, its default SETTINGS, and both again."""
        return self._settings(resolve(method, task).model_dump())

    def restore(
        self,
        linked: dict[str, Any] | None = None,
        watched: str | None = None,
        visitor: Visitor = None,
    ) -> list[Any]:
        """A page was opened, or a run of its visitor began by itself: task, method and settings of
        the configuration that its address links to, or of the run that it is going to show, as they
        were turned last."""
        run = self._shown(visitor, watched, chosen=True)
        if linked is not None:
            config = linked
        elif run is None:
            return [FIRST_TASK, FIRST_METHOD, *self.choose(FIRST_TASK, FIRST_METHOD)]
        elif run in self.recordings:
            config = self.recordings.config(run)
        else:
            config = turned(self._client.config(run), self._client.events(run)[0])
        return [config["task"], config["method"], *self._settings(config)]

    def play(self, preset: str, visitor: Visitor = None) -> list[Any]:
        """A preset was chosen: its recorded run, for the page to follow, and its settings."""
        run = f"{PREFIX}{preset}"
        return [{"run": run, "pressed": time.time()}, *self.restore(watched=run, visitor=visitor)]

    def start(
        self, pace: float, task: str, method: str, *settings: Any, visitor: Visitor = None
    ) -> list[Any]:
        """Run was pressed: the run that began (None: it waits in line), and the complaints.

        A complaint is [field, line]; its field is "" where it is about none in particular.
        """
        run, refused = None, []
        try:
            options = {"task": task, "method": method, **_options(task, method, settings)}
            run = self._line.join(visitor, options, pace)
        except ConfigError as error:
            refused = [self._complaint(line) for line in error.lines]
        except OneEach:
            refused = [["", self._words["visitors"]["one_each"]]]
        return [{"run": run, "pressed": time.time()}, refused]

    def needed(self, pace: float, task: str, method: str, *settings: Any) -> Any:
        """What stands on the Run button: how long it will take at this pace, where a run like it is
        known."""
        label = self._words["controls"]["run"]
        try:
            options = {"task": task, "method": method, **_options(task, method, settings)}
            seconds = self._client.estimate(delay=pace, **self._line.limited(options))
        except ConfigError:  # told when it is run
            seconds = None
        if seconds is not None:
            label = self._words["controls"]["run_needs"].format(
                time=durations.duration(seconds, self._words)
            )
        return gr.update(value=label)

    def leave(self, visitor: Visitor = None) -> None:
        """The visitor's run is to wait no longer."""
        self._line.leave(visitor)

    def command(self, name: str, shown: Any = None, visitor: Visitor = None) -> None:
        """Pause, resume, step or stop the visitor's live run; a presenter's is the one `shown`."""
        if run := self._steered(visitor, shown):
            self._client.send(run, name)

    def turn(
        self,
        field: str,
        task: str,
        method: str,
        value: float | None,
        shown: Any = None,
        visitor: Visitor = None,
    ) -> list[list[str]]:
        """β or the learning rate was turned: a live run of this task and method takes it."""
        run = self._steered(visitor, shown)
        if run is None or value is None:
            return []
        config = self._client.config(run)
        if (config["task"], config["method"]) != (task, method) or not has(method, field):
            return []
        try:
            self._client.send(run, "set", **{field: value})
        except ConfigError as error:
            return [self._complaint(line) for line in error.lines]
        return []

    def slow(self, pace: float, shown: Any = None, visitor: Visitor = None) -> None:
        """Another pace was chosen: the live run takes it at once."""
        if run := self._steered(visitor, shown):
            self._client.send(run, "set", delay=pace)

    def share(self, asked: Any, visitor: Visitor = None) -> None:
        """Share a run of the visitor's own ({"run", "on"}) with all, or no longer."""
        if isinstance(asked, dict):
            self._visitors.share(visitor, asked.get("run"), asked.get("on") is True)

    def has_news(self, known: tuple[str, int]) -> bool:
        """Whether `delta` may have more to tell a page that knows this run as far as this byte."""
        run, offset = known
        if run in self.recordings or any(other != run for other in self._client.live()):
            return True
        try:
            return self._client.grown(run, offset)
        except ConfigError:  # there is no such run any more
            return True

    def delta(self, cursor: dict[str, Any], visitor: Visitor = None) -> dict[str, Any]:
        """What a log holds past `cursor` ({"run", "offset"}): a new cursor, `charts.delta`, and the
        `story` of the run (`Stories.of`) where there is more to tell.

        A page follows the visitor's live run, else one that is live; without one it stays with the
        run that it shows. It stays with the visitor's own run, too, and with one that was
        `chosen`, while another visitor's is live. A run that is new to the page comes with its
        `config`, with what votes it was `trained_on` (`trained_on.told`), and from its beginning.
        Where no run was ever made, a recorded one is shown.
        """
        run = self._shown(visitor, cursor.get("run"), cursor.get("chosen") is True)
        if run is None:
            return {"run": None}
        if run in self.recordings:
            return self.recordings.delta(run, cursor)
        self._watch(visitor, run)
        config, votes, offset = None, None, cursor.get("offset")
        if run != cursor.get("run") or not isinstance(offset, int) or offset < 0:
            config, offset = self._client.config(run), 0
            votes = provenance.told(self._client, config)
            config = provenance.nameless(config)
            self._client.status(run)  # a run whose process is gone gets its last words here
        events, offset = self._client.events(run, offset)
        story = self._stories.of(run) if events else None
        if story and story["left"] is not None:
            story = {**story, "left": durations.duration(story["left"], self._words)}
        found = {"run": run, "offset": offset, "config": config, "trained_on": votes}
        gained = charts.delta(events)
        if status := gained["status"]:
            status["message"] = messages.in_words(status, self._words)
            status.pop("cause", None)
        return {**found, "story": story, **gained}

    def followed(self, cursor: dict[str, Any], visitor: Visitor = None) -> dict[str, Any]:
        """`delta`, and the visitor's `standing` to the run in it."""
        delta = self.delta(cursor, visitor)
        return {**delta, "standing": self.standing(delta["run"], visitor)}

    def standing(self, run: str | None, visitor: Visitor = None) -> dict[str, Any]:
        """How a visitor stands to the `run` that their page shows, and to the line.

        `own`: a live run of theirs; `steers`: whether they may steer the run; `shared`: whether
        they share it, None where it is not theirs; `other`: another live run, to watch; `free`:
        whether a run would begin at once; `trial`: whether one of the lab's experiments is tried,
        "own" or "other"; `place` and `wait` in line.
        """
        live = self._client.live()
        place = self._line.place(visitor)
        known = run is not None and run not in self.recordings
        return {
            "own": self._own(visitor),
            "steers": run in live and self._visitors.steers(visitor, run),
            "shared": self._visitors.shared(visitor, run) if known else None,
            "other": next((other for other in reversed(live) if other != run), None),
            "free": self._line.free(),
            "trial": self._line.trial(visitor),
            "place": place and place.number,
            "wait": durations.wait(place.seconds, place.sure, self._words) if place else "",
            "refused": [
                complaints.in_words(line, self._words) for line in self._line.refused(visitor)
            ],
            "presents": self._visitors.presents(visitor),
            "several": self._visitors.several,
        }

    def _shown(self, visitor: Visitor, watched: Any = None, chosen: bool = False) -> str | None:
        if own := self._own(visitor):
            return own
        live = self._client.live()
        if watched in live:
            return watched
        seen = self._visitors.runs(visitor)
        known = watched in seen or watched in self.recordings
        if live:
            mine = [run for run in seen if visitor and self._visitors.owns(visitor, run)]
            kept = next(iter(mine), None) if watched is None else watched
            return kept if kept in mine or (chosen and known) else live[-1]
        if known or (watched is not None and self._watched.get(visitor) == watched):
            return watched
        # Nobody is greeted by what another visitor shared.
        owners = (visitor, None)
        greeting = (run for run in seen if any(self._visitors.owns(one, run) for one in owners))
        return next(greeting, FIRST if FIRST in self.recordings else None)

    def _watch(self, visitor: Visitor, run: str) -> None:
        """Remember what a visitor was shown: of another's run they may see the end, too."""
        self._watched[visitor] = run
        self._watched.move_to_end(visitor)
        if len(self._watched) > WATCHING:
            self._watched.popitem(last=False)

    def _own(self, visitor: Visitor) -> str | None:
        return next((run for run in self._client.live() if self._visitors.owns(visitor, run)), None)

    def _steered(self, visitor: Visitor, shown: Any) -> str | None:
        if shown in self._client.live() and self._visitors.steers(visitor, shown):
            return shown
        return self._own(visitor)

    def _settings(self, config: dict[str, Any]) -> list[Any]:
        task, method = config["task"], config["method"]
        values = {**config, "reward_model": "proxy", "pair_source": "reference"}
        for field, models in MODELS.items():
            named = {model.format(task=task): name for name, model in models.items()}
            values[field] = named.get(config[field], values[field])
        if config["preference_pairs"] is None:  # a file was taken whole; Run takes so many pairs
            values["preference_pairs"] = defaults(method, task).get("preference_pairs")
        everything = config["coverage"] in (None, "all")
        values["coverage"] = [*card(task).groups] if everything else config["coverage"].split(",")
        updates = {
            name: {"value": values[name], "visible": has(method, name)} for name in SETTINGS[1:]
        }
        updates["reward_model"]["choices"] = self._rewards(task)
        updates["coverage"]["choices"] = [
            (self._words["groups"][task][name], name) for name in card(task).groups
        ]
        if method in owners("beta"):
            beta = gr.update(value=config["beta"], visible=True, zero=method == "ppo")
        else:
            beta = gr.update(visible="hidden")  # it keeps its value, and goes on aiming
        return [
            self._words["tasks"][task]["explanation"],
            self._words["methods"][method]["explanation"],
            beta,
            *(gr.update(**update) for update in updates.values()),
            {"task": task, "method": method},
        ]

    def _rewards(self, task: str) -> list[tuple[str, str]]:
        """What PPO can optimise on a task: label and name."""
        labels = self._words["controls"]
        known = {"gold", *model_index.embedded()}
        names = [name for name, model in REWARDS.items() if model.format(task=task) in known]
        return [(labels[f"reward_{name}"], name) for name in ("proxy", *names)]

    def _complaint(self, line: Message) -> list[str]:
        """A line of a ConfigError in the page's words, after the field that it is about."""
        fields = {flag(field): field for field in ("task", "method", *SETTINGS)}
        option = line.values.get("option")
        return [fields.get(option, ""), complaints.in_words(line, self._words)]


def _options(task: str, method: str, settings: tuple[Any, ...]) -> dict[str, Any]:
    """The SETTINGS that the method has, as `Client.start` takes them."""
    options = dict(zip(SETTINGS, settings, strict=True))
    options = {name: value for name, value in options.items() if has(method, name)}
    for field, models in MODELS.items():
        if model := models.get(options.pop(field, None)):
            options[field] = model.format(task=task)
    if isinstance(groups := options.get("coverage"), list):
        options["coverage"] = ",".join(groups)
    # A field that is empty or holds no number is a slip to tell, not a wish for the default.
    return {name: math.nan if value is None else value for name, value in options.items()}
