"""The pairs that a session begins with, and what a reward model makes of them."""

from __future__ import annotations

import contextlib
import random
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.task_card import BUILT_IN, card
from align_core.data.preference_files import stored_pairs
from align_core.inference.client import Helper, Unanswered
from align_core.votes.session import Session
from align_core.votes.sqlite_writer import Closed

# Of a session. A rater sees each at most once, and can reach alone what is enough to train
# (`views.rate.ENOUGH`) beside a quarter that is held out and a fifth of ties.
PAIRS = {"reviews": 240, "capitals": 640}
USUAL = 240  # where nobody has measured what is enough
SCORED_AT_ONCE = 40  # or other questions to the helper would wait long
SEED = 0


class Pairs:
    """Where pairs come from: stored ones for the embedded SFT model, the helper for any other."""

    def __init__(self, helper: Helper) -> None:
        self._helper = helper
        self._scoring = ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self.of = lru_cache(maxsize=32)(self._of)  # all sessions on a model rate the same pairs

    def _of(self, task: str, model: str) -> list[dict[str, Any]]:
        """Raises ConfigError for what is no model here, Unanswered where the helper is busy."""
        if task in BUILT_IN and model == card(task).reference:
            rng = random.Random(SEED)
            return [_unordered(pair, model, rng) for pair in stored_pairs(task, PAIRS[task], SEED)]
        return self._helper.candidates(
            task=task, model=model, count=PAIRS.get(task, USUAL), seed=SEED
        )

    def score(self, session: Session, reward_model: str) -> None:
        """Let a reward model, embedded or of a run, score the pairs of a session, by and by: where
        it is least sure, a vote teaches most. Until then they are drawn as before, a new session's
        at random."""
        self._scoring.submit(self._score, session, reward_model)

    def _score(self, session: Session, reward_model: str) -> None:
        with contextlib.suppress(ConfigError, Unanswered, Closed):
            pairs = session.pairs()
            scored: list[dict[str, Any]] = []
            for start in range(0, len(pairs), SCORED_AT_ONCE):
                some = pairs[start : start + SCORED_AT_ONCE]
                scored += self._helper.scored(some, reward_model)
            session.set_scores(scored, reward_model)  # at once: margins of two models do not mix


def _unordered(pair: dict[str, Any], model: str, rng: random.Random) -> dict[str, Any]:
    """The pair, its two texts in an order that does not tell which one was chosen."""
    found = {"prompt": pair["prompt"], "model": model}
    sides = rng.sample(("chosen", "rejected"), 2)
    for name, side in zip(("first", "second"), sides, strict=True):
        found[name] = pair[side]
        for known in ("ended", "reward"):
            found[f"{name}_{known}"] = pair[f"{side}_{known}"]
    return found
