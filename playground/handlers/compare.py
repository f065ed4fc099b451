"""What the Compare view asks of the server: runs side by side, and what sets them apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from align_core.config.run_config import RunConfig
from align_core.inference.client import Helper
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from align_core.runs.events import replay
from playground.content import charts, optimum
from playground.content.histories import History, history
from playground.content.recordings import PREFIX, Recording
from playground.content.run_list import MAX_LISTED, has, has_model, list_runs, settings
from playground.handlers.ask import answered
from playground.voting.provenance import without_session

MOST = 4  # runs at once
ABOVE = "above the reference"
# The last measurement of a run. All but KL are better the larger: KL is a price, which is low where
# nothing was bought. And which of them hold a run against its own reference, so that they say less
# where the references differ.
_GOLD, _REFERENCE, _KL = "eval/gold_reward", "eval/gold_reward_reference", "eval/kl"
_GAIN = "eval/gain"
NUMBERS = (
    _GOLD,
    ABOVE,
    _KL,
    _GAIN,
    "eval/frontier_efficiency",
    "eval/win_rate",
    "eval/accuracy",
    "eval/margin",
)
_OF_A_REFERENCE = {ABOVE, _KL, _GAIN, "eval/frontier_efficiency", "eval/win_rate"}
# The curves: a chart each, where a run has it. The reference is for the picture of the frontier.
CURVES = (_GOLD, "eval/proxy_reward", _KL, "eval/accuracy", "eval/margin")


class CompareHandlers:
    """Handlers of the Compare view. What a visitor sends is checked here or by the helper.

    Beside the runs of `client` stand those that are `recorded`, by name.
    """

    def __init__(
        self,
        client: Client,
        helper: Helper,
        words: dict[str, Any],
        recorded: Mapping[str, Recording],
    ) -> None:
        self._client = client
        self._helper = helper
        self._words = words
        self._presets = words["presets"]
        self._recorded = recorded

    def runs(self, asked: Any) -> list[dict[str, Any]]:
        """The newest runs on a task, however they ended, the live one too, newest first; then the
        recorded ones. Of `asked` ({"task", "sought"}), `sought` is what a run must have:
        `run_list.has`.
        """
        given = asked if isinstance(asked, dict) else {}
        task, sought = given.get("task"), str(given.get("sought", ""))
        own = islice(list_runs(self._client, task, sought), MAX_LISTED)
        return [*own, *self._recordings(task, sought)]

    def _recordings(self, task: Any, sought: str) -> Iterator[dict[str, Any]]:
        """As `list_runs`, in the order of the cards: `recorded` is the name of the preset."""
        order = [f"{PREFIX}{name}" for name in self._presets["cards"]]
        for name in (name for name in order if name in self._recorded):
            run = self._recorded[name]
            card = self._presets["cards"][run.preset.name]["name"]
            told = settings(history(run.config, run.events))
            called = f"{card} {self._presets['state']}"
            if run.config["task"] == task and has(sought, told, called):
                yield {"run": name, **told, "recorded": card, "machine": run.preset.machine}

    def follow(self, asked: Any) -> dict[str, Any]:
        """What runs have gained past `asked`, [{"run", "offset"}, …], and what sets them apart.

        `runs`: for each, a new cursor, its `config`, what names it (`run_list.settings`), whether
        it has a `model`, and `charts.delta` with the CURVES and the last samples alone; `settings`:
        `differences`; `numbers`: `ranked`.
        Names that are no runs here are passed over, and so are more than MOST.
        """
        known = {*self._client.runs(), *self._recorded}
        cursors = asked if isinstance(asked, list) else []
        cursors = [one for one in cursors if isinstance(one, dict) and _name(one) in known][:MOST]
        found = [self._gained(_name(one), one.get("offset")) for one in cursors]
        logs = [self._log(one["run"]) for one in found]
        histories = [history(one["config"], log) for one, log in zip(found, logs, strict=True)]
        named = [settings(one) for one in histories]
        return {
            "runs": [one | told for one, told in zip(found, named, strict=True)],
            "settings": differences(histories),
            "numbers": ranked(
                [
                    last_numbers(log, optimum.full_gain(one["config"]))
                    for one, log in zip(found, logs, strict=True)
                ],
                one_reference=len({one["config"]["model"] for one in found}) == 1,
            ),
        }

    def duel(self, asked: Any) -> dict[str, Any]:
        """Win rates of runs against each other: `Helper.duel`."""
        names = ("task", "models", "n", "seed")
        return answered(self._helper.duel, asked, names, self._words)

    def _gained(self, run: str, offset: Any) -> dict[str, Any]:
        start = offset if isinstance(offset, int) and offset >= 0 else 0
        if run in self._recorded:
            recording = self._recorded[run]
            config, model = recording.config, False
            events, end = recording.events[start:], len(recording.events)
        else:
            self._client.status(run)  # of a run whose process is gone the log ends here
            config, model = self._client.config(run), has_model(self._client, run)
            config = without_session(config)
            events, end = self._client.events(run, start)
        gained = charts.delta(events)
        points = gained["points"]
        return {
            "run": run,
            "offset": end,
            "config": config,
            "model": model,
            **gained,
            "points": {name: points[name] for name in (*CURVES, charts.GAIN) if name in points},
            "samples": gained["samples"][-1:],
        }

    def _log(self, run: str) -> tuple[dict[str, Any], ...]:
        if run in self._recorded:
            return _counting(self._recorded[run].events)
        directory = RunDirectory(self._client.root / run)
        log = directory.events_path
        return _read(str(directory.path), log.stat().st_size if log.exists() else 0)


@lru_cache(maxsize=32)
def _read(path: str, size: int) -> tuple[dict[str, Any], ...]:
    """The changes and evaluations of a log that count; read anew once it has another `size`."""
    return _counting(RunDirectory(path).events()[0])


def _counting(events: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    return tuple(
        event
        for event in replay(events)
        if event["kind"] == "change" or event.get("metrics", {}).keys() & set(NUMBERS)
    )


def differences(histories: Sequence[Mapping[str, History]]) -> list[dict[str, Any]]:
    """The settings in which runs differ: {"setting", "values"}, a history for each run."""
    rows = [
        {"setting": name, "values": [one[name] for one in histories]}
        for name in RunConfig.model_fields
        if histories
    ]
    return [row for row in rows if any(one != row["values"][0] for one in row["values"])]


def last_numbers(
    events: Iterable[Mapping[str, Any]], whole: float | None = None
) -> dict[str, float]:
    """NUMBERS at the last evaluation of a run. Those it does not have are left out.

    With `whole` (`optimum.full_gain`), the gain above the reference is as the frontier chart
    shows it.
    """
    measured = [event["metrics"] for event in events if event["kind"] == "metrics"]
    evaluations = [metrics for metrics in measured if metrics.keys() & set(NUMBERS)]
    if not evaluations:
        return {}
    last = {name: value for name, value in evaluations[-1].items() if value is not None}
    if whole is not None and _GAIN in last:
        last[ABOVE] = last[_GAIN] * whole
    elif {_GOLD, _REFERENCE} <= last.keys():
        last[ABOVE] = last[_GOLD] - last[_REFERENCE]
    return {name: last[name] for name in NUMBERS if name in last}


def ranked(numbers: Sequence[Mapping[str, float]], one_reference: bool) -> list[dict[str, Any]]:
    """The numbers of runs in rows: {"number", "values", "best"}, a value or None for each run.

    `best` lists the places of the best value. It is empty for KL, where all are the same, where
    only one run has the number, and, without `one_reference`, where it depends on what a run
    started from.
    """
    rows = []
    for name in NUMBERS:
        values = [one.get(name) for one in numbers]
        known = [value for value in values if value is not None]
        if not known:
            continue
        comparable = name != _KL and (one_reference or name not in _OF_A_REFERENCE)
        best = max(known) if comparable and len(set(known)) > 1 else None
        places = [i for i, value in enumerate(values) if value is not None and value == best]
        rows.append({"number": name, "values": values, "best": places})
    return rows


def _name(cursor: Mapping[str, Any]) -> str:
    return str(cursor.get("run"))
