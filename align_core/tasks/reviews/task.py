"""Controlled sentiment, after the DPO paper (arXiv 2305.18290, section 6.1): warm film reviews."""

from __future__ import annotations

import math
import random

from align_core.config.task_card import card
from align_core.tasks.grammar import tokenize
from align_core.tasks.grammar_task import GrammarTask, join_text, repetition_charge
from align_core.tasks.reviews.grammar import (
    ASPECTS,
    FILMS,
    GRAMMAR,
    IDIOMS,
    MOODY_DEGREES,
    PERSONS,
    SYNTAX,
)
from align_core.tasks.reviews.sentiment import SentimentReader

LIMIT = 3.0  # nats: praise saturates softly here, rant at minus that
NATS = 1.2  # nats for each unit of the lexicon, before saturation

_PROMPT_WORDS = range(3, 9)
_KEPT_WORDS = 5  # probe and held-out prompts have at least so many
_COMPLETION_WORDS = range(6, 20)
_SIZES = {"probe": 64, "heldout": 128, "train": 1024}
_ASPECT_OF = {
    word: aspect for aspect, lists in ASPECTS.items() for words in lists for word in words.split()
} | dict.fromkeys(PERSONS.split(), "people")
_BEGUN_IDIOMS = {phrase[:size] for phrase in IDIOMS for size in range(2, len(phrase))}
_WARM_STARTS, _COLD_STARTS = (
    {phrase[0] for phrase, value in IDIOMS.items() if (value > 0) == warm} for warm in (True, False)
)
# Words that begin idioms of one mood alone: "stole", "sank". An "a" begins much else.
_ONE_SIDED_STARTS = (_WARM_STARTS ^ _COLD_STARTS) - {"a"}


class Reviews(GrammarTask, card=card("reviews")):
    max_new_tokens = 36
    repeatable = frozenset(FILMS.split())
    grammar = SYNTAX

    def __init__(self) -> None:
        self._reader = SentimentReader(IDIOMS)
        self.splits = self._split_prompts()
        self._kept_back = {*self.splits["probe"], *self.splits["heldout"]}

    def corpus(self, n: int, seed: int) -> list[str]:
        rng = random.Random(f"reviews corpus {seed}")
        return [self._review(rng, "text") for _ in range(n)]

    def demonstrations(self, n: int, seed: int) -> list[dict[str, str]]:
        rng = random.Random(f"reviews demonstrations {seed}")
        found: list[dict[str, str]] = []
        while len(found) < n:
            prompt, completion = self._cut(rng)
            if prompt not in self._kept_back:
                found.append({"prompt": prompt, "completion": completion})
        return found

    def group(self, prompt: str) -> str:
        """The aspect of film-making that the prompt names first, or "film"."""
        named = (_ASPECT_OF[token] for token in tokenize(prompt) if token in _ASPECT_OF)
        return next(named, "film")

    def content_reward(self, prompt: str, completion: str) -> float:
        tokens = tokenize(join_text(prompt, completion))
        value = self._reader.read(tokens, start=len(tokenize(prompt)))
        return LIMIT * math.tanh(NATS * value / LIMIT)

    def _review(self, rng: random.Random, rule: str) -> str:
        """A review of one film that does not repeat itself."""
        film = rng.choice(FILMS.split())
        while True:
            text = GRAMMAR.generate(rule, rng, {"film": film})
            if not repetition_charge(tokenize(text), self.repeatable):
                return text

    def _cut(self, rng: random.Random) -> tuple[str, str]:
        """A review cut in two inside its first sentence, before the prompt takes a side: both
        moods are still open, also after "although the plot of"."""
        while True:
            words = self._review(rng, "demonstration").split(" ")
            size = rng.choice(_PROMPT_WORDS)
            prompt = " ".join(words[:size])
            tokens = tokenize(prompt)
            if len(words) - size not in _COMPLETION_WORDS or any(t in ".!" for t in tokens):
                continue
            if self._takes_a_side(tokens) or _foretells(tokens):
                continue
            return prompt, " " + " ".join(words[size:])

    def _takes_a_side(self, tokens: list[str]) -> bool:
        """Whether any beginning of it is warm or cold: praise and blame that cancel are sides."""
        return any(self._reader.read(tokens[:size]) for size in range(1, len(tokens) + 1))

    def _split_prompts(self) -> dict[str, list[str]]:
        rng = random.Random("reviews prompts")
        splits: dict[str, list[str]] = {}
        taken: set[str] = set()
        for split, size in _SIZES.items():
            splits[split] = []
            while len(splits[split]) < size:
                prompt = self._cut(rng)[0]
                # A short prompt kept back would leave what follows it without a demonstration.
                if prompt not in taken and (split == "train" or len(prompt.split()) >= _KEPT_WORDS):
                    splits[split].append(prompt)
                    taken.add(prompt)
        return splits


def _foretells(tokens: list[str]) -> bool:
    """Whether the last words have a mood already: "painfully", or the beginning of an idiom."""
    return (
        tokens[-1] in MOODY_DEGREES
        or tokens[-1] in _ONE_SIDED_STARTS
        or any(tuple(tokens[start:]) in _BEGUN_IDIOMS for start in range(len(tokens) - 1))
    )
