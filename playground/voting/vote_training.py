"""Training on a session's votes.

The preference files of a session's runs are in a folder of the session, so that its runs can be
found by their configurations, even after a restart. Deleting the session deletes its files, not its
runs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.messages import Message
from align_core.config.methods import methods
from align_core.config.task_card import BUILT_IN
from align_core.runs.client import Client
from align_core.votes import preference_files, simulated_raters, statistics
from align_core.votes.session import Session
from playground.people.run_queue import RunQueue
from playground.people.visitors import Visitor
from playground.voting.pairs import Pairs
from playground.voting.provenance import file_name

# Pipeline -> the method that learns from the votes, and the method that then optimises the reward
# model that the first one made, or None.
PIPELINES = {
    "reward": ("reward", None),
    "dpo": ("dpo", None),
    "kto": ("kto", None),
    "reward_ppo": ("reward", "ppo"),
}
HELD_OUT = 0.25  # share of the prompts whose votes are kept to evaluate the reward model
EVALUATIONS = 6  # during a run


class VoteTraining:
    """Trains on votes, through the run `queue`. Thread-safe."""

    def __init__(self, client: Client, queue: RunQueue, pairs: Pairs, folder: Path) -> None:
        self._client = client
        self._queue = queue
        self._pairs = pairs
        self._folder = folder

    def train(
        self,
        session: Session,
        pipeline: str,
        simulated: float,
        visitor: Visitor = None,
        room: bool = False,
    ) -> str | None:
        """Start or queue a run of the visitor on the votes of a session.

        A trained reward model then scores the session's pairs, for the next votes. With
        "reward_ppo", a PPO run with that reward model joins the queue as well.

        Args:
            session: the session of the votes.
            pipeline: a key of PIPELINES.
            simulated: the share of simulated votes among all votes that the run is trained on.
            visitor: the owner of the run.
            room: whether the session was opened as a room, in which an audience votes.

        Returns:
            The name of the run; None if it is queued.

        Raises:
            ConfigError: no vote to train on, or as `RunQueue.join`.
            NoPlace: the visitor has another run or quick run, or too many wait.
        """
        votes = session.votes()
        to_train, _ = statistics.held_out(votes, HELD_OUT)
        if not any(vote["choice"] in statistics.DECIDED for vote in to_train):
            text = "there is no vote that prefers a text: rate some pairs first"
            raise ConfigError(Message("no_votes", {}, text))
        method, next_method = PIPELINES[pipeline]
        start = {"task": session.task, "model": self._model(votes[0]["model"])}

        def then(run: str) -> dict[str, Any] | None:
            self._pairs.score(session, run)
            if next_method is None:
                return None
            return {**start, "method": next_method, "reward_model": str(self._client.root / run)}

        file, rows = self._write(session, to_train, methods()[method].learns_from, simulated, room)
        settings = preference_files.settings(method, session.task, rows)
        options = {**start, "method": method, "preferences": str(file), **settings}
        options["eval_every"] = max(1, settings["steps"] // EVALUATIONS)
        makes_rewards = methods()[method].makes == "reward model"
        try:
            return self._queue.join(visitor, options, then=then if makes_rewards else None)
        except Exception:
            file.unlink(missing_ok=True)
            raise

    def _write(
        self,
        session: Session,
        votes: statistics.Votes,
        learns_from: str,
        simulated: float,
        room: bool,
    ) -> tuple[Path, int]:
        """Write a new preference file of these votes, with a share of simulated ones; returns its
        path and the number of its rows. Raises ConfigError as `preference_files.write` does."""
        folder = self._folder / session.name
        folder.mkdir(parents=True, exist_ok=True)
        decided = [vote for vote in votes if vote["choice"] in statistics.DECIDED]
        has_stored_pairs = session.task in BUILT_IN  # simulated raters need stored pairs
        more = round(len(decided) * simulated / (1 - simulated)) if has_stored_pairs else 0
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            unnamed = Path(temporary, "votes.jsonl")
            mix = preference_files.write_mixed(
                unnamed, votes, session.task, simulated=more, learns_from=learns_from
            )
            cast = sum(vote["kind"] in simulated_raters.CROWDS for vote in decided)
            name = file_name(mix["votes"], cast, mix["simulated"], room)
            return unnamed.rename(folder / name), mix["rows"]

    def _model(self, name: str | None) -> str | None:
        """The model for a name in a session's pairs: a run directory, or an embedded model."""
        run = name and self._client.root / name
        return str(run) if run and run.is_dir() else name
