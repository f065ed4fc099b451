"""Training on a session's votes, and what came of it.

What a run was trained on lies in a folder of its session, so its name tells which runs are whose:
a restart forgets nothing. It is deleted with the session; the runs stay.
"""

from __future__ import annotations

import contextlib
import secrets
from functools import lru_cache
from pathlib import Path
from typing import Any

from align_core import exchange, feedback
from align_core.asking import Helper, Unanswered
from align_core.client import Client
from align_core.configs import ConfigError
from align_core.telling import Told
from align_core.votes import Session
from playground.line import Line
from playground.pairs import Pairs
from playground.visitors import Visitor

WAYS = ("reward", "dpo", "reward_ppo")
HELD_OUT = 0.25  # of the prompts: their votes are not trained on, they measure the reward model
MEASURED = 6  # times during a run
SHOWN = 4  # texts before and after
DIFFERING = 3  # pairs where raters and gold reward differ


def counted(votes: feedback.Votes) -> dict[str, int]:
    """Of the votes that prefer a text, how many a run learns from (`to_train`), and how many are
    kept to measure it on (`held_out`)."""
    parts = zip(("to_train", "held_out"), feedback.held_out(votes, HELD_OUT), strict=True)
    return {name: sum(vote["choice"] in feedback.DECIDED for vote in part) for name, part in parts}


class Harvest:
    """Runs on votes, that wait in `line` as all do. Threads may share it."""

    def __init__(
        self, client: Client, line: Line, helper: Helper, pairs: Pairs, folder: Path
    ) -> None:
        self._client = client
        self._line = line
        self._helper = helper
        self._pairs = pairs
        self._folder = folder
        self._judged = lru_cache(maxsize=64)(self._judge)

    def train(
        self, session: Session, way: str, simulated: float, visitor: Visitor = None
    ) -> str | None:
        """Let a visitor run on the votes of a session, as WAYS tells: now, or in their turn.

        Returns the name of the run, None where it waits.

        `simulated` is the share of simulated votes among all that it is trained on. A reward model
        that is trained scores the pairs of the session anew, for the votes to come. With
        "reward_ppo" PPO on it follows, which waits for its own turn.

        Raises:
            ConfigError: too few votes, or what `Line.join` refuses.
            OneEach: a run of this visitor is live or waits.
        """
        votes = session.votes()
        model = votes[0]["model"] if votes else None
        to_train, _ = feedback.held_out(votes, HELD_OUT)
        own = len(exchange.preferences(to_train))
        if not own:
            line = "there is no vote that prefers a text: rate some pairs first"
            raise ConfigError(Told(line, "no_votes"))
        folder = self._folder / session.name
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{secrets.token_hex(4)}.jsonl"
        mix = exchange.write_mixed(
            file, to_train, session.task, simulated=round(own * simulated / (1 - simulated))
        )
        file = file.rename(file.with_stem(f"{file.stem}-{mix['votes']}-{mix['simulated']}"))
        method = "dpo" if way == "dpo" else "reward"
        paced = exchange.settings(method, session.task, mix["votes"] + mix["simulated"])
        start = {"task": session.task, "model": self._model(model)}
        asked = {**start, "method": method, "preferences": str(file), **paced}
        asked["eval_every"] = max(1, paced["steps"] // MEASURED)

        def then(run: str) -> dict[str, Any] | None:
            self._pairs.score(session, run)
            if way == "reward":
                return None
            return {**start, "method": "ppo", "reward_model": str(self._client.root / run)}

        try:
            return self._line.join(visitor, asked, then=None if way == "dpo" else then)
        except BaseException:
            file.unlink()
            raise

    def report(self, session: Session) -> dict[str, Any]:
        """What came of the `runs` on this session's votes, the newest first, how often the raters
        prefer the text of higher gold reward (`gold_agreement`), and where most do not (`against`).

        A run has `run`, `method`, `status`, the numbers of `votes` and `simulated` ones it learnt
        from (None where it learnt from a reward model), what `judged` says of a reward model on
        the votes held out (`feedback.judged`), and `texts` of a policy: prompt, before and after.
        """
        votes = session.votes()
        _, held_out = feedback.held_out(votes, HELD_OUT)
        runs = [self._told(run, config, session, held_out) for run, config in self._runs(session)]
        return {
            "runs": runs,
            "gold_agreement": feedback.stats(votes)["gold_agreement"],
            "against": feedback.against_gold(votes, DIFFERING),
        }

    def _told(
        self, run: str, config: dict[str, Any], session: Session, held_out: list
    ) -> dict[str, Any]:
        status = (self._client.status(run) or {"status": "starting"})["status"]
        told = {"run": run, "method": config["method"], "status": status}
        told |= {"votes": None, "simulated": None, "judged": None, "texts": []}
        if config["preferences"]:
            votes, simulated = Path(config["preferences"]).stem.split("-")[1:]
            told |= {"votes": int(votes), "simulated": int(simulated)}
        if status not in ("finished", "stopped"):
            return told
        if config["method"] != "reward":
            return told | {"texts": self._texts(run)}
        if held_out:
            with contextlib.suppress(ConfigError, Unanswered):
                told["judged"] = self._judged(run, session, held_out[-1]["id"], len(held_out))
        return told

    def _judge(self, run: str, session: Session, last: int, count: int) -> dict[str, Any]:
        """`last` and `count` only tell votes apart that are not the same."""
        _, held_out = feedback.held_out(session.votes(), HELD_OUT)
        voted = {vote["pair"] for vote in held_out}
        pairs = [pair for pair in session.pairs() if pair["id"] in voted]
        return feedback.judged(feedback.with_scores(held_out, self._helper.scored(pairs, run)))

    def _texts(self, run: str) -> list[dict[str, Any]]:
        events, _ = self._client.events(run)
        samples = [event["samples"] for event in events if event["kind"] == "samples"]
        return [
            {
                "prompt": one["prompt"],
                "before": one["reference"]["text"],
                "after": one["policy"]["text"],
            }
            for one in (samples[-1] if samples else [])[:SHOWN]
        ]

    def _runs(self, session: Session) -> list[tuple[str, dict[str, Any]]]:
        """The runs on this session's votes, and PPO runs on the reward models among them."""
        files = {str(file.resolve()) for file in (self._folder / session.name).glob("*.jsonl")}
        configs = {}
        for run in self._client.runs():
            with contextlib.suppress(ConfigError):  # of another version
                configs[run] = self._client.config(run)
        own = {run for run, config in configs.items() if config["preferences"] in files}
        models = {str((self._client.root / run).resolve()) for run in own}
        return [
            (run, config)
            for run, config in configs.items()
            if run in own or config["reward_model"] in models
        ]

    def _model(self, name: str | None) -> str | None:
        """The MODEL that a session's pairs name: an embedded one, or a run of this client."""
        run = name and self._client.root / name
        return str(run) if run and run.is_dir() else name
