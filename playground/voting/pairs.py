"""The pairs of a new session, and their scores by a reward model."""

from __future__ import annotations

import contextlib
import random
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from align_core.config import model_index
from align_core.config.errors import ConfigError
from align_core.config.task_card import BUILT_IN, known_card
from align_core.data.preference_files import stored_pairs
from align_core.inference.client import InferenceClient, Unanswered
from align_core.votes.session import Session
from align_core.votes.sqlite_writer import Closed

# The number of pairs of a session. A rater sees each pair at most once, so there must be enough for
# one rater to cast the votes that training needs (`views.rate.ENOUGH`), with a quarter held out and
# a fifth of ties.
PAIRS = {"reviews": 240, "capitals": 640}
DEFAULT_PAIRS = 240  # for a task whose necessary number was not measured
FEW_PAIRS = 60  # as many as a model that is not embedded samples in `client.ANSWER_TIMEOUT`
SCORED_AT_ONCE = 40  # so that other queries to the helper do not wait long
SEED = 0


class Pairs:
    """The source of pairs: stored ones for the embedded SFT model, the helper for other models."""

    def __init__(self, helper: InferenceClient) -> None:
        self._helper = helper
        self._scoring = ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self.load = lru_cache(maxsize=32)(self._load)  # all sessions on a model rate the same pairs

    def _load(self, task: str, model: str) -> list[dict[str, Any]]:
        """The pairs for a session. Raises ConfigError for an unknown model, Unanswered if the
        helper is busy."""
        if task in BUILT_IN and model == known_card(task).reference:
            rng = random.Random(SEED)
            return [_unlabelled(pair, model, rng) for pair in stored_pairs(task, PAIRS[task], SEED)]
        is_embedded = known_card(task).reference in model_index.embedded()
        count = PAIRS.get(task, DEFAULT_PAIRS if is_embedded else FEW_PAIRS)
        return self._helper.candidates(task=task, model=model, count=count, seed=SEED)

    def score(self, session: Session, reward_model: str) -> None:
        """Score a session's pairs in the background, with an embedded or a trained reward model.

        With scores, pairs about which the model is least certain can be drawn first. Until they are
        ready, pairs are drawn by the earlier scores; in a new session, at random.
        """
        self._scoring.submit(self._score, session, reward_model)

    def _score(self, session: Session, reward_model: str) -> None:
        with contextlib.suppress(ConfigError, Unanswered, Closed):
            pairs = session.pairs()
            scored: list[dict[str, Any]] = []
            for start in range(0, len(pairs), SCORED_AT_ONCE):
                batch = pairs[start : start + SCORED_AT_ONCE]
                scored += self._helper.score_pairs(batch, reward_model)
            # All together, because margins by two different reward models are not comparable.
            session.set_scores(scored, reward_model)


def _unlabelled(pair: dict[str, Any], model: str, rng: random.Random) -> dict[str, Any]:
    """The pair with its two texts in random order, which hides the label."""
    unlabelled = {"prompt": pair["prompt"], "model": model}
    sides = rng.sample(("chosen", "rejected"), 2)
    for name, side in zip(("first", "second"), sides, strict=True):
        unlabelled[name] = pair[side]
        for key in ("ended", "reward"):
            unlabelled[f"{name}_{key}"] = pair[f"{side}_{key}"]
    return unlabelled
