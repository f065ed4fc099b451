"""The sentiment of a review: a lexicon read with negation, contrast, degree and idioms.

After Polanyi and Zaenen, "Contextual valence shifters" (2006): words have a value, which the words
around them invert, raise or lower.
"""

from __future__ import annotations

from collections.abc import Mapping

from align_core.tasks.grammar import PUNCTUATION
from align_core.tasks.reviews.lexicon import (
    AFFIRMING_PHRASES,
    CONCESSIONS,
    DEGREES,
    NEGATING_PHRASES,
    NEGATORS,
    PHRASES,
    SENTIMENT,
    TURNS,
)

NEGATION = -0.75  # "not boring" is warm, but less so than "gripping"
NEGATION_REACH = 4  # a negation inverts the first sentiment word within so many words
CONCEDED = 0.5  # weight of the clause after "although" or before "but"
STRESSED = 1.25  # weight of the other clause
SHOUT = 1.1  # weight of a sentence with an exclamation mark


class SentimentReader:
    """Reads the sentiment of tokens; `idioms` are phrases with values, besides the lexicon's."""

    def __init__(self, idioms: Mapping[tuple[str, ...], float]) -> None:
        self._phrases: dict[str, list[tuple[tuple[str, ...], float]]] = {}
        for phrase, value in sorted({**PHRASES, **idioms}.items(), key=lambda item: -len(item[0])):
            self._phrases.setdefault(phrase[0], []).append((phrase, value))

    def read(self, tokens: list[str], start: int = 0) -> float:
        """The sum of the values of all words and phrases that end after `start`, each counted once.

        Tokens before `start` (the prompt) are only context: they can negate, concede or intensify.
        """
        total, begin = 0.0, 0
        counted: set[tuple[str, ...]] = set()
        for end, token in enumerate(tokens, start=1):
            if token in ".!?;" or end == len(tokens):
                if end > start:
                    total += self._sentence(tokens[begin:end], start - begin, counted)
                begin = end
        return total

    def _sentence(self, tokens: list[str], start: int, counted: set[tuple[str, ...]]) -> float:
        weights = _contrast(tokens)
        total, position = 0.0, 0
        reach, degree = 0, 1.0
        while position < len(tokens):
            word, pair = tokens[position], tuple(tokens[position : position + 2])
            phrase, value = self._match(tokens, position)
            last = position + len(phrase) - 1
            if value:
                if reach > 0:
                    value *= NEGATION * min(degree, 1.0)
                    joined = last + 1 < len(tokens) and tokens[last + 1] in ("or", "nor")
                    reach = NEGATION_REACH if joined else 0
                else:
                    value *= degree
                if last >= start and phrase not in counted:
                    counted.add(phrase)
                    total += value * weights[position]
                degree = 1.0
            elif pair in AFFIRMING_PHRASES:
                last = position + 1
            elif pair in NEGATING_PHRASES:
                last, reach = position + 1, NEGATION_REACH + 1
            elif word in NEGATORS or word.endswith("n't"):
                reach = NEGATION_REACH + 1
            elif word in DEGREES:
                degree *= DEGREES[word]
            elif word in PUNCTUATION or word in TURNS:
                reach = 0
            else:
                degree = 1.0
            reach -= 1
            position = last + 1
        return total * (SHOUT if tokens[-1] == "!" else 1.0)

    def _match(self, tokens: list[str], position: int) -> tuple[tuple[str, ...], float]:
        """The longest phrase that starts at `position`, or the word there, with its value."""
        for phrase, value in self._phrases.get(tokens[position], ()):
            if tuple(tokens[position : position + len(phrase)]) == phrase:
                return phrase, value
        word = tokens[position]
        if word in DEGREES and position + 1 < len(tokens):
            # in "pretty dull" or "terribly funny" it is a degree, without a value of its own
            following = tokens[position + 1]
            if following in SENTIMENT or following in DEGREES:
                return (word,), 0.0
        return (word,), SENTIMENT.get(word, 0.0)


def _contrast(tokens: list[str]) -> list[float]:
    """A weight for each token: conceded, stressed, or 1 where the sentence has no contrast."""
    for i, token in enumerate(tokens):
        if token in CONCESSIONS:
            end = tokens.index(",", i) if "," in tokens[i:] else len(tokens)
            return [CONCEDED if i <= j < end else STRESSED for j in range(len(tokens))]
        if token in TURNS and i > 0 and (tokens[i - 1], token) not in NEGATING_PHRASES:
            if (tokens[i - 1], token) in AFFIRMING_PHRASES:
                continue
            return [CONCEDED if j < i else STRESSED for j in range(len(tokens))]
    return [1.0] * len(tokens)
