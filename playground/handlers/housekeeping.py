"""Deletes old runs and sessions of votes, so that strangers do not fill the disk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from pathlib import Path

from align_core.runs.client import Client
from align_core.runs.pruning import delete, remove_remains, stored_runs, to_prune
from playground.limits import Limits
from playground.people.run_queue import RunQueue
from playground.voting.room import VotingService

EVERY_SECONDS = 600.0
WATCHED_SECONDS = 900.0  # a run counts as in use after its events or its model were requested
_MODELS = ("model", "reward_model", "pair_source")  # the settings that name a model
_LOG = logging.getLogger(__name__)


class Housekeeping:
    """Prunes the runs of `client` and the sessions of `voting` at intervals.

    It never deletes the session that is the voting room, or on whose votes a live or queued run is
    trained; nor a run that is live, that a page follows, whose model a live or queued run uses, or
    whose model was asked something within WATCHED_SECONDS.
    """

    def __init__(
        self, client: Client, queue: RunQueue, voting: VotingService, limits: Limits
    ) -> None:
        self._client = client
        self._queue = queue
        self._voting = voting
        self._limits = limits
        self._ended = threading.Event()

    def start(self) -> None:
        """Prune now, in a thread, and then every EVERY_SECONDS; does nothing without a limit."""
        limits = (self._limits.run_days, self._limits.megabytes, self._limits.vote_days)
        if any(limit is not None for limit in limits):
            threading.Thread(target=self._repeat, daemon=True, name="housekeeping").start()

    def close(self) -> None:
        """Stop pruning."""
        self._ended.set()

    def prune(self) -> list[str]:
        """Delete what is over the limits; returns the names of the deleted runs and sessions."""
        pruned = []
        limits, root = self._limits, self._client.root
        max_bytes = None if limits.megabytes is None else limits.megabytes * 1e6
        remove_remains(root)
        for run in to_prune(stored_runs(root), limits.run_days, max_bytes, kept=self._in_use()):
            name = run.path.name
            if name in self._in_use():  # put to use since the list was made
                continue
            try:
                delete(run)
            except OSError as error:
                _LOG.warning("The run %s could not be deleted: %s", name, error.strerror)
            else:
                pruned.append(name)
        if limits.vote_days is not None:
            pruned += self._voting.prune(limits.vote_days)
        return pruned

    def _repeat(self) -> None:
        while True:
            try:
                if pruned := self.prune():
                    _LOG.info("pruned: %s", ", ".join(pruned))
            except Exception:  # a later attempt may succeed
                _LOG.exception("Old runs could not be deleted")
            if self._ended.wait(EVERY_SECONDS):
                return

    def _in_use(self) -> Collection[str]:
        """The names of the runs that somebody needs."""
        live = self._client.live()
        configs = self._queue.configurations()
        models = {Path(config[name]) for config in configs for name in _MODELS if config.get(name)}
        root = self._client.root.resolve()
        names = {model.name for model in models if model.parent.resolve() == root}
        return {*live, *names, *self._client.used(WATCHED_SECONDS)}
