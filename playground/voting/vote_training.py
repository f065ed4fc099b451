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

from align_core.config.errors import ConfigError
from align_core.config.messages import Message
from align_core.config.methods import methods
from align_core.config.task_card import BUILT_IN
from align_core.inference.client import Helper, Unanswered
from align_core.runs.client import Client
from align_core.runs.events import of_kind, replay, turned
from align_core.votes import preference_files, simulated_raters, statistics
from align_core.votes.session import Session
from playground.content import optimum
from playground.people.run_queue import RunQueue
from playground.people.visitors import Visitor
from playground.voting import verdicts
from playground.voting.pairs import Pairs
from playground.voting.provenance import file_name, numbers, told

# What is trained on the votes, and what is trained next on the reward model that came of them.
PIPELINES = {"reward": ("reward", None), "dpo": ("dpo", None), "reward_ppo": ("reward", "ppo")}
HELD_OUT = 0.25  # of the prompts: their votes are not trained on, they measure the reward model
MEASURED = 6  # times during a run
SHOWN = 4  # texts before and after
ENDED = ("finished", "stopped")  # and have left a model
DIFFERING = 3  # pairs where raters and gold reward differ


def vote_counts(votes: statistics.Votes) -> dict[str, int]:
    """Of the votes that prefer a text, how many a run learns from (`to_train`), and how many are
    kept to measure it on (`held_out`)."""
    parts = zip(("to_train", "held_out"), statistics.held_out(votes, HELD_OUT), strict=True)
    return {
        name: sum(vote["choice"] in statistics.DECIDED for vote in part) for name, part in parts
    }


class VoteTraining:
    """Runs on votes, that wait in `line` as all do. Threads may share it."""

    def __init__(
        self, client: Client, queue: RunQueue, helper: Helper, pairs: Pairs, folder: Path
    ) -> None:
        self._client = client
        self._queue = queue
        self._helper = helper
        self._pairs = pairs
        self._folder = folder
        self._judged = lru_cache(maxsize=64)(self._judge)

    def train(
        self,
        session: Session,
        way: str,
        simulated: float,
        visitor: Visitor = None,
        room: bool = False,
    ) -> str | None:
        """Let a visitor run on the votes of a session, as PIPELINES tells: now, or in their turn.

        Returns the name of the run, None where it waits.

        `simulated` is the share of simulated votes among all that it is trained on. A reward model
        that is trained scores the pairs of the session anew, for the votes to come. With
        "reward_ppo" PPO on it follows, which waits for its own turn. `room` tells whether the
        session was opened to one.

        Raises:
            ConfigError: too few votes, or what `RunQueue.join` refuses.
            AlreadyHasRun: a run of this visitor is live or waits.
        """
        votes = session.votes()
        model = votes[0]["model"] if votes else None
        to_train, _ = statistics.held_out(votes, HELD_OUT)
        decided = [vote for vote in to_train if vote["choice"] in statistics.DECIDED]
        if not decided:
            line = "there is no vote that prefers a text: rate some pairs first"
            raise ConfigError(Message("no_votes", {}, line))
        folder = self._folder / session.name
        folder.mkdir(parents=True, exist_ok=True)
        stored = session.task in BUILT_IN  # pairs, for simulated raters
        more = round(len(decided) * simulated / (1 - simulated)) if stored else 0
        method, following = PIPELINES[way]
        makes_rewards = methods()[method].makes == "reward model"
        start = {"task": session.task, "model": self._model(model)}

        def then(run: str) -> dict[str, Any] | None:
            self._pairs.score(session, run)
            if following is None:
                return None
            return {**start, "method": following, "reward_model": str(self._client.root / run)}

        file = folder / f"{secrets.token_hex(4)}.jsonl"
        try:
            mix = preference_files.write_mixed(file, to_train, session.task, simulated=more)
            cast = sum(vote["kind"] in simulated_raters.CROWDS for vote in decided)
            file = file.rename(folder / file_name(mix["votes"], cast, mix["simulated"], room))
            rows = mix["votes"] + mix["simulated"]
            paced = preference_files.settings(method, session.task, rows)
            asked = {**start, "method": method, "preferences": str(file), **paced}
            asked["eval_every"] = max(1, paced["steps"] // MEASURED)
            return self._queue.join(visitor, asked, then=then if makes_rewards else None)
        except BaseException:
            file.unlink(missing_ok=True)
            raise

    def report(self, session: Session) -> dict[str, Any]:
        """What came of the `runs` on this session's votes, the newest first, how often the raters
        prefer the text of higher gold reward (`gold_agreement`), and where most do not (`against`).

        A run has `run`, `method`, `status`, the numbers of `votes` and `simulated` ones it learnt
        from (None where it learnt from a reward model), what `judged` says of a reward model on
        the votes held out (`statistics.judged`), and `texts` of a policy: prompt, before and after.
        """
        votes = session.votes()
        _, held_out = statistics.held_out(votes, HELD_OUT)
        agreement = statistics.stats(votes)["gold_agreement"]
        decided = sum(vote["choice"] in statistics.DECIDED for vote in votes)
        runs = []
        for run, config in self._runs(session):
            one = self._told(run, config, session, held_out)
            if methods()[config["method"]].makes == "reward model":
                one["verdict"] = verdicts.of_reward_model(one["judged"])
            elif one["status"] in ENDED:
                one |= self._became(run, config, agreement, decided)
            runs.append(one)
        against = statistics.against_gold(votes, DIFFERING)
        return {"runs": runs, "gold_agreement": agreement, "against": against}

    def _told(
        self, run: str, config: dict[str, Any], session: Session, held_out: list
    ) -> dict[str, Any]:
        status = (self._client.status(run) or {"status": "starting"})["status"]
        one = {"run": run, "method": config["method"], "status": status}
        one |= {"votes": None, "simulated": None, "judged": None, "texts": [], "verdict": None}
        if found := numbers(config):
            one |= {name: found[name] for name in ("votes", "simulated")}
        learnt = told(self._client, config)
        one["mixed"] = bool(learnt and learnt["simulated"])
        scores = methods()[config["method"]].makes == "reward model"
        if status in ENDED and scores and held_out:
            with contextlib.suppress(ConfigError, Unanswered):
                one["judged"] = self._judged(run, session, held_out[-1]["id"], len(held_out))
        return one

    def _judge(self, run: str, session: Session, last: int, count: int) -> dict[str, Any]:
        """`last` and `count` only tell votes apart that are not the same."""
        _, held_out = statistics.held_out(session.votes(), HELD_OUT)
        voted = {vote["pair"] for vote in held_out}
        pairs = [pair for pair in session.pairs() if pair["id"] in voted]
        return statistics.judged(statistics.with_scores(held_out, self._helper.scored(pairs, run)))

    def _became(
        self, run: str, config: dict[str, Any], agreement: float | None, votes: int
    ) -> dict[str, Any]:
        """The `texts` of a policy, and the `verdict` on it."""
        events = replay(self._client.events(run)[0])
        samples = [event["samples"] for event in of_kind(events, "samples")]
        evaluations = [event["metrics"] for event in of_kind(events, "metrics")]
        measured = [one for one in evaluations if "eval/gold_reward" in one]
        last, beta = measured[-1] if measured else {}, turned(config, events)["beta"]
        return {
            "texts": [
                {"prompt": one["prompt"], "before": one["reference"], "after": one["policy"]}
                for one in (samples[-1] if samples else [])[:SHOWN]
            ],
            "verdict": verdicts.of_policy(last, beta, agreement, votes, optimum.full_gain(config)),
        }

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
