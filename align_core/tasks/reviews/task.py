"""Controlled sentiment, after the DPO paper (arXiv 2305.18290, section 6.1): warm film reviews."""

from __future__ import annotations

import math
import random

from align_core.config.task_card import known_card
from align_core.tasks.grammar import tokenize
from align_core.tasks.grammar_task import GrammarTask, join_text, repetition_penalty
from align_core.tasks.reviews.grammar import (
    ASPECTS,
    FILMS,
    GRAMMAR,
    IDIOMS,
    MOODY_DEGREES,
    PERSONS,
    SYNTAX,
)
from align_core.tasks.reviews.ratings import spell_ratings
from align_core.tasks.reviews.sentiment import SentimentReader

LIMIT = 3.0  # nats: the reward saturates softly at ± this
NATS = 1.2  # nats for each unit of the lexicon, before saturation

_PROMPT_WORDS = range(3, 9)
_EVALUATION_WORDS = 5  # the minimum length of probe and held-out prompts
_COMPLETION_WORDS = range(6, 20)
_SIZES = {"probe": 64, "heldout": 128, "train": 1024}
_ASPECT_OF = {
    word: aspect for aspect, lists in ASPECTS.items() for words in lists for word in words.split()
} | dict.fromkeys(PERSONS.split(), "people")
_BEGUN_IDIOMS = {phrase[:size] for phrase in IDIOMS for size in range(2, len(phrase))}
_WARM_STARTS, _COLD_STARTS = (
    {phrase[0] for phrase, value in IDIOMS.items() if (value > 0) == warm} for warm in (True, False)
)
# Words that begin only warm or only cold idioms, like "stole" and "sank"; not "a", which also
# begins neutral phrases.
_ONE_SIDED_STARTS = (_WARM_STARTS ^ _COLD_STARTS) - {"a"}


class Reviews(GrammarTask, card=known_card("reviews")):
    max_new_tokens = 36
    repeatable = frozenset(FILMS.split())
    grammar = SYNTAX

    def __init__(self) -> None:
        self._reader = SentimentReader(IDIOMS)
        self.splits = self._split_prompts()
        self._evaluation_prompts = {*self.splits["probe"], *self.splits["heldout"]}

    def corpus(self, n: int, seed: int) -> list[str]:
        rng = random.Random(f"reviews corpus {seed}")
        return [self._review(rng, "text") for _ in range(n)]

    def demonstrations(self, n: int, seed: int) -> list[dict[str, str]]:
        rng = random.Random(f"reviews demonstrations {seed}")
        rows: list[dict[str, str]] = []
        while len(rows) < n:
            prompt, completion = self._cut(rng)
            if prompt not in self._evaluation_prompts:
                rows.append({"prompt": prompt, "completion": completion})
        return rows

    def group(self, prompt: str) -> str:
        """The aspect of the film that the prompt names first, or "film"."""
        aspects = (_ASPECT_OF[token] for token in tokenize(prompt) if token in _ASPECT_OF)
        return next(aspects, "film")

    def content_reward(self, prompt: str, completion: str) -> float:
        value = self._reader.read(*_words(prompt, completion))
        return LIMIT * math.tanh(NATS * value / LIMIT)

    def can_judge(self, prompt: str, completion: str | None = None) -> bool:
        """Whether the completion is English, a rating or emoji, with praise or blame, which may
        cancel out, that the reward recognises."""
        return completion is None or (
            self.knows_language(spell_ratings(completion), self._reader)
            and self._reader.recognises(*_words(prompt, completion))
        )

    def _review(self, rng: random.Random, rule: str) -> str:
        """A review of one film without repetitions."""
        film = rng.choice(FILMS.split())
        while True:
            text = GRAMMAR.generate(rule, rng, {"film": film})
            if not repetition_penalty(tokenize(text), self.repeatable):
                return text

    def _cut(self, rng: random.Random) -> tuple[str, str]:
        """The prompt and the completion of a review that is cut within its first sentence.

        Warm and cold completions of the prompt are possible, as after "although the plot of".
        """
        while True:
            words = self._review(rng, "demonstration").split(" ")
            size = rng.choice(_PROMPT_WORDS)
            prompt = " ".join(words[:size])
            tokens = tokenize(prompt)
            if len(words) - size not in _COMPLETION_WORDS or any(t in ".!" for t in tokens):
                continue
            if _ends_in_mood(tokens) or self._has_mood(tokens):
                continue
            return prompt, " " + " ".join(words[size:])

    def _has_mood(self, tokens: list[str]) -> bool:
        """Whether any beginning of the tokens is warm or cold, even if later tokens cancel it."""
        return any(self._reader.read(tokens[:size]) for size in range(len(tokens), 0, -1))

    def _split_prompts(self) -> dict[str, list[str]]:
        rng = random.Random("reviews prompts")
        splits: dict[str, list[str]] = {}
        taken: set[str] = set()
        for split, size in _SIZES.items():
            splits[split] = []
            while len(splits[split]) < size:
                prompt = self._cut(rng)[0]
                # Short prompts are only for training, which otherwise would not have any.
                if prompt not in taken and (
                    split == "train" or len(prompt.split()) >= _EVALUATION_WORDS
                ):
                    splits[split].append(prompt)
                    taken.add(prompt)
        return splits


def _words(prompt: str, completion: str) -> tuple[list[str], int]:
    """The tokens of prompt and completion, with ratings as words, and how many are the prompt's."""
    context, text = map(spell_ratings, (prompt, join_text(prompt, completion)))
    return tokenize(text), len(tokenize(context))


def _ends_in_mood(tokens: list[str]) -> bool:
    """Whether the last words determine the mood, like "painfully" or the start of an idiom."""
    return (
        tokens[-1] in MOODY_DEGREES
        or tokens[-1] in _ONE_SIDED_STARTS
        or any(tuple(tokens[start:]) in _BEGUN_IDIOMS for start in range(len(tokens) - 1))
    )
