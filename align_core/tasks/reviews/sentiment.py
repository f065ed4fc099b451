"""The sentiment of a review: a lexicon read with negation, contrast, degree and constructions.

After Polanyi and Zaenen, "Contextual valence shifters" (2006): words have a value, which the words
around them invert, raise or lower.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from align_core.tasks.grammar import PUNCTUATION
from align_core.tasks.reviews import questions
from align_core.tasks.reviews.constructions import HYPOTHESIS, NEGATION, Constructions
from align_core.tasks.reviews.lexicon import (
    CONCESSIONS,
    DEGREES,
    IRREALIS,
    NEGATORS,
    PHRASES,
    SENTIMENT,
    TURNS,
    word_value,
)
from align_core.tasks.reviews.ratings import rating_value

NEGATION_REACH = 4  # a negation inverts the first sentiment word within this many words
CONCEDED = 0.5  # weight of the clause after "although" or before "but"
STRESSED = 1.25  # weight of the other clause
SHOUT = 1.1  # weight of a sentence with an exclamation mark
ANSWERED = 1.0  # the value of "Would I watch it again? Yes.", whose question has no value

_ASIDE = 3  # at most so many tokens, like "film." in "best. film. ever.", say nothing of their own
_SEEING = frozenset("see watch recommend go buy rent bother miss return sit show".split())
_PRONOUNS = frozenset("it i we he she they this that".split())
_AUXILIARIES = frozenset("did was were is are does do could would had has".split())
_END = frozenset(".!?;")


class _Span(NamedTuple):
    """Tokens that are read together. `factor` applies to the next value, as in `Construction`;
    `covers` says whether the words in it lose their own meaning."""

    words: tuple[str, ...]
    value: float = 0.0
    factor: float | None = None
    covers: bool = False


class SentimentReader:
    """Reads the sentiment of tokens; `idioms` are phrases with values, besides the lexicon's."""

    def __init__(self, idioms: Mapping[tuple[str, ...], float]) -> None:
        self._constructions = Constructions()
        self._phrases: dict[str, list[tuple[tuple[str, ...], float]]] = {}
        for phrase, value in sorted({**PHRASES, **idioms}.items(), key=lambda item: -len(item[0])):
            self._phrases.setdefault(phrase[0], []).append((phrase, value))
        self._words = {*SENTIMENT, *NEGATORS, *DEGREES, *CONCESSIONS, *TURNS}
        self._words |= self._constructions.words | {w for phrase in PHRASES for w in phrase}

    def read(self, tokens: list[str], start: int = 0) -> float:
        """The sum of the values of all words and phrases that end after `start`, each counted once.

        Tokens before `start`, those of the prompt, are only context: they can negate, concede or
        intensify, or ask the question that later tokens answer.
        """
        total = sum(value for value, _, _ in self._parts(tokens, start))
        return -total if tokens[-2:] == ["/", "s"] else total  # "/s" marks sarcasm

    def recognises(self, tokens: list[str], start: int = 0) -> bool:
        """Whether praise, blame or a rating after `start` is read as meant, even if all cancel out.

        Not where the only cue is followed by an unread sentence: "Cute at first. Then I left."
        """
        are_read = [
            is_read and not self._is_doubtful(sentence)
            for _, sentence, is_read in self._parts(tokens, start)
            if is_read or len(sentence) > _ASIDE or not NEGATORS.isdisjoint(sentence)
        ]
        return any(are_read) and (are_read[-1] or sum(are_read) > 1)

    def _parts(self, tokens: list[str], start: int) -> Iterator[tuple[float, list[str], bool]]:
        """Yields (value, sentence, whether anything in it is read) of each statement and answer."""
        last, before, question_value = 0.0, tokens[:0], None
        counted: set[tuple[str, ...]] = set()
        for begin, sentence in _sentences(tokens):
            offset = max(start - begin, 0)
            answer = questions.reply(sentence)
            if answer is not None and (question_value is not None or _is_denial(sentence, answer)):
                says_yes, size = answer
                if question_value is not None:
                    value = question_value if says_yes else NEGATION * question_value
                else:  # a denial of the sentence before, as "it could have been fun" is itself
                    value = 0.0 if self._is_hypothesis(before) else last * (NEGATION - 1.0)
                yield value, sentence[:size], bool(value)
                sentence, offset = sentence[size:], max(offset - size, 0)
            question_value = None
            if _asks(sentence):
                question_value = self._question_value(sentence)
            elif len(sentence) > offset:
                size, before = len(counted), sentence
                last = self._statement_value(sentence, offset, counted)
                is_read = bool(last) or len(counted) > size or _is_rated(sentence[offset:])
                yield last, sentence, is_read

    def __contains__(self, word: object) -> bool:
        """Whether a word has a value, or is a part of a phrase or construction."""
        return isinstance(word, str) and bool(
            word in self._words or word.endswith("n't") or word_value(word) is not None
        )

    def _is_hypothesis(self, sentence: list[str]) -> bool:
        return any(span.factor == HYPOTHESIS for span in self._spans(sentence))

    def _is_doubtful(self, sentence: list[str]) -> bool:
        """Whether what is read in the sentence may be another's view or a mere wish, or is only in
        the lesser part of a contrast: "slow, but what a finale"."""
        spans = list(self._spans(sentence))
        unreal = next((i for i, s in enumerate(spans) if s.words[0] in IRREALIS), len(spans))
        if any(span.value for span in spans[unreal:]) and not spans[unreal].covers:
            return True
        if _elliptic_turn(sentence) is not None:
            return False
        stressed = [
            span
            for span, weight in zip(spans, _contrast(spans), strict=True)
            if weight == STRESSED and span.words[0] not in PUNCTUATION | TURNS
        ]
        return bool(stressed) and not any(span.value for span in stressed)

    def _question_value(self, question: list[str]) -> float:
        """The value of an open question, read as a statement."""
        value = self._sentence(question, 0, set())
        return value if value or _SEEING.isdisjoint(question) else ANSWERED

    def _statement_value(
        self, sentence: list[str], start: int, counted: set[tuple[str, ...]]
    ) -> float:
        if sentence[-1] == "?":
            if questions.expects_no(sentence):
                denial = questions.as_denial(sentence)
                shift = len(sentence) - len(denial)
                value = self._sentence(denial, max(start - shift, 0), counted)
                if not value and not _SEEING.isdisjoint(denial):  # "Why would anyone watch it?"
                    value = ANSWERED * (NEGATION if denial[0] == "not" else 1.0)
                return value
            sentence = questions.as_statement(sentence) or sentence
        elif (turn := _elliptic_turn(sentence)) is not None:
            bare = sum(word_value(word) or 0.0 for word in sentence[start:turn])
            return bare * (NEGATION if _is_negated(sentence[turn:]) else 1.0)
        value = self._sentence(sentence, start, counted)
        words = [token for token in sentence if token not in PUNCTUATION]
        return -value if words[-1:] == ["not"] and words[-2:-1] != ["or"] else value

    def _sentence(self, tokens: list[str], start: int, counted: set[tuple[str, ...]]) -> float:
        spans = list(self._spans(tokens))
        weights = _contrast(spans)
        total, position = 0.0, 0
        reach, factor, degree = 0, NEGATION, 1.0
        for i, (span, weight) in enumerate(zip(spans, weights, strict=True)):
            word, position = span.words[0], position + len(span.words)
            if span.value:
                value = span.value
                if reach > 0:
                    value *= factor * min(degree, 1.0)
                    joined = i + 1 < len(spans) and spans[i + 1].words[0] in ("or", "nor")
                    reach = NEGATION_REACH if joined else 0
                else:
                    value *= degree
                if position > start and span.words not in counted:
                    counted.add(span.words)
                    total += value * weight
                degree = 1.0
            elif span.factor is not None:
                reach, factor = NEGATION_REACH + 1, span.factor
            elif span.covers:
                pass
            elif word in NEGATORS or word.endswith("n't"):
                reach, factor = NEGATION_REACH + 1, NEGATION
            elif word in DEGREES:
                degree *= DEGREES[word]
            elif word in PUNCTUATION or word in TURNS:
                reach = 0
            else:
                degree = 1.0
            reach -= 1
        return total * (SHOUT if tokens[-1] == "!" else 1.0)

    def _spans(self, tokens: list[str]) -> Iterator[_Span]:
        """The tokens as constructions, phrases and words, the longest possible at each place."""
        position = 0
        while position < len(tokens):
            construction = self._constructions.longest(tokens, position)
            phrase, value = self._phrase(tokens, position)
            size = construction.length if construction else 0
            if construction and size + (not value) > len(phrase):
                words = tuple(tokens[position : position + size])
                yield _Span(words, construction.value, construction.factor, covers=True)
            else:
                size = len(phrase)
                yield _Span(phrase, value)
            position += size

    def _phrase(self, tokens: list[str], position: int) -> tuple[tuple[str, ...], float]:
        """The longest phrase that starts at `position`, or the word there, with its value."""
        for phrase, value in self._phrases.get(tokens[position], ()):
            if tuple(tokens[position : position + len(phrase)]) == phrase:
                return phrase, value
        word = tokens[position]
        if word in DEGREES and position + 1 < len(tokens):
            # In "pretty dull" or "terribly funny" the word is a degree, without its own value.
            following = tokens[position + 1]
            if following in SENTIMENT or following in DEGREES:
                return (word,), 0.0
        return (word,), word_value(word) or 0.0


def _sentences(tokens: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yields (begin, tokens) of each sentence or part before a semicolon."""
    begin = 0
    for end, token in enumerate(tokens, start=1):
        if token in _END or end == len(tokens):
            yield begin, tokens[begin:end]
            begin = end


def _asks(sentence: list[str]) -> bool:
    """Whether it is an open question without a rating."""
    return sentence[-1:] == ["?"] and questions.is_open(sentence) and not _is_rated(sentence)


def _is_rated(sentence: list[str]) -> bool:
    return any(rating_value(token) is not None for token in sentence)


def _is_denial(sentence: list[str], answer: tuple[bool, int]) -> bool:
    """Whether a sentence says no to the one before: "They call it funny. It is not.", "They are
    wrong: it is dull." """
    says_yes, size = answer
    is_whole = PUNCTUATION.issuperset(sentence[size:]) or sentence[size] == ":"
    return not says_yes and (is_whole or sentence[size - 1] in ("wrong", "mistaken"))


def _elliptic_turn(sentence: list[str]) -> int | None:
    """The position of "but" or a comma in a sentence that ends like "…, but it was not"; None in
    any other."""
    words = [i for i, token in enumerate(sentence) if token not in ".!?;:"]
    for size in (3, 4):
        turn = sentence[words[-size]] if len(words) > size else ""
        if turn in TURNS or (turn == "," and _is_negated(sentence[words[-size] :])):
            subject, verb, *rest = (sentence[i] for i in words[-size + 1 :])
            if (
                subject in _PRONOUNS
                and verb.removesuffix("n't") in _AUXILIARIES
                and rest in ([], ["not"], ["never"], ["indeed"], ["wrong"], ["mistaken"])
            ):
                return words[-size]
    return None


def _is_negated(tokens: list[str]) -> bool:
    return any(
        token in NEGATORS or token.endswith("n't") or token in ("wrong", "mistaken")
        for token in tokens
    )


def _contrast(spans: list[_Span]) -> list[float]:
    """A weight for each span: conceded, stressed, or 1 where the sentence has no contrast."""
    heads = ["" if span.covers else span.words[0] for span in spans]
    for i, head in enumerate(heads):
        if head in CONCESSIONS:
            end = heads.index(",", i) if "," in heads[i:] else len(heads)
            return [CONCEDED if i <= j < end else STRESSED for j in range(len(heads))]
        if head in TURNS and i > 0:
            return [CONCEDED if j < i else STRESSED for j in range(len(heads))]
    return [1.0] * len(heads)
