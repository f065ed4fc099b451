"""The gold reward of an answer: a sum of parts in nats, each a function of question and text.

The rewards of SmolLM2-135M-Instruct's samples for all questions have a standard deviation of
1.6 nats.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from align_core.data.formats import Text
from align_core.tasks.grammar_task import repetition_penalty

# Reward of an answer that has a key of a question of fact, or KEYS keys of another question. With
# fewer keys, the reward is smaller in proportion.
RIGHT = 2.5
KEYS = 3
WRONG = 1.5  # penalty if the answer has none of the keys
OFF_TOPIC = 1.5  # further penalty if it has no word of the question either
STEM = 4  # letters by which words are compared
SHORT, LONG = 5, 18  # words: a good length, both included; for a fact one word is enough
TOO_SHORT, TOO_LONG = 0.3, 0.05  # penalty for each word too few or too many
STOCK_OPENING = 1.0
ASKS_BACK = 0.7
COURTEOUS = 0.6  # reward for courtesy, given once
GUSHING = 0.6  # penalty for each courteous word beyond two
MARKUP = 0.8  # new lines, lists, markup, symbols or letters of another alphabet
NAME = 0.4  # each name that is neither in the question nor a key: most are invented
NAMES_LIMIT = 2.0
ONE_REPETITION, REPETITION_LIMIT = 0.6, 1.5  # the first repetition is free
EMPTY = 4.0
UNENDED = 1.0  # an answer that was cut at the token limit
NO_FULL_STOP = 0.3

_WORD = re.compile(r"[^\W_]+(?:[,.'-][^\W_]+)*")
_COURTESY = frozenset(
    "please thank thanks welcome sure certainly gladly glad happy kindly pleasure".split()
)
_ASKING = frozenset(
    """
    about does from have into make many much should that their them there they this what when where
    which while will with would your
    """.split()
)
_STOCK_OPENING = re.compile(
    r"(here (is|are)|here's|there (is|are)|as an? (ai|assistant|language)|i (can't|cannot)"
    r"|i('m| am) (an?|here|sorry,? (for|to|but))|when it comes to|the answer (to|is|lies)"
    r"|this (question|is)|what an?|great|it('s| is) (important|essential|crucial|always|great))\b",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"\n|[*#_`|<>{}\[\]\\]|^\d+\.|[^\W\d_a-zA-Zéè]|[\u2190-\U0010ffff]")
_SENTENCE_START = re.compile(r"([.!?:]\s+|\n\s*|[\"“(]\s*)$")


@dataclass(frozen=True)
class Question:
    """A question, its kind, and words of a good answer: "boil*" is any word that begins so."""

    text: str
    kind: str = ""
    keys: tuple[str, ...] = ()  # in lower case

    def keys_in(self, answer: str) -> int:
        """The number of its keys that the answer has."""
        answer_words = {word.casefold() for word in words(answer)}
        return sum(any(_is(key, word) for word in answer_words) for key in self.keys)

    def has(self, word: str) -> bool:
        """Whether a word in lower case is in the question or is one of its keys."""
        return word in self.words or any(_is(key, word) for key in self.keys)

    def is_topic_of(self, answer: str) -> bool:
        """Whether the answer has a content word of the question, or another form of one."""
        return not self.topics.isdisjoint(word[:STEM].casefold() for word in words(answer))

    @cached_property
    def topics(self) -> frozenset[str]:
        """The beginnings of its content words."""
        content = (word for word in self.words if len(word) >= STEM and word not in _ASKING)
        return frozenset(word[:STEM] for word in content)

    @cached_property
    def words(self) -> frozenset[str]:
        """Its words in lower case."""
        return frozenset(word.casefold() for word in words(self.text))


def judge(question: Question, answer: str, ended: bool) -> dict[str, float]:
    """The parts of the reward by name, in nats; for an empty answer, only its penalties."""
    answer = answer.strip().replace("’", "'")
    content = {"right": 0.0, "short": 0.0, "direct": 0.0, "polite": 0.0, "plain": -EMPTY}
    if words(answer):
        content = {
            "right": _right(question, answer),
            "short": _short(question, answer),
            "direct": _direct(answer),
            "polite": _polite(answer),
            "plain": _plain(question, answer),
        }
    parts = content | {"ends": _ends(answer, ended)}
    return {name: value + 0.0 for name, value in parts.items()}  # -0.0 becomes 0.0


def content(message: Text) -> str:
    """The text of a message or of the last of several."""
    return message if isinstance(message, str) else message[-1]["content"]


def words(text: str) -> list[str]:
    """The words and numbers of a text, as written, with apostrophes and hyphens within."""
    return _WORD.findall(text)


def _right(question: Question, answer: str) -> float:
    if not question.keys:
        return 0.0
    matched, needed = question.keys_in(answer), 1 if question.kind == "fact" else KEYS
    share = min(matched / needed, 1.0)
    off_topic = not matched and not question.is_topic_of(answer)
    return RIGHT * share - WRONG * (1.0 - share) - OFF_TOPIC * off_topic


def _short(question: Question, answer: str) -> float:
    count, least = len(words(answer)), 1 if question.kind == "fact" else SHORT
    return -TOO_SHORT * max(least - count, 0) - TOO_LONG * max(count - LONG, 0)


def _direct(answer: str) -> float:
    return -STOCK_OPENING * bool(_STOCK_OPENING.match(answer)) - ASKS_BACK * ("?" in answer)


def _polite(answer: str) -> float:
    count = sum(word.casefold() in _COURTESY for word in words(answer))
    return COURTEOUS * (count > 0) - GUSHING * max(count - 2, 0)


def _plain(question: Question, answer: str) -> float:
    """The penalties for markup, for names, and for repeated words that the question does not
    have."""
    names = 0
    for match in _WORD.finditer(answer):
        start, word = match.start(), match[0]
        if start and word[0].isupper() and not re.fullmatch("I('.+)?", word):
            starts = _SENTENCE_START.search(answer, max(start - 5, 0), start)
            names += not starts and not question.has(word.casefold())
    answer_words = [word.casefold() for word in words(answer)]
    repeated = repetition_penalty(answer_words, question.words)
    return (
        -MARKUP * bool(_MARKUP.search(answer))
        - min(NAME * names, NAMES_LIMIT)
        - min(max(repeated - ONE_REPETITION, 0.0), REPETITION_LIMIT)
    )


def _ends(answer: str, ended: bool) -> float:
    has_full_stop = answer.rstrip("\"'”) ")[-1:] in (".", "!", "?", "…")
    return -UNENDED * (not ended) - NO_FULL_STOP * (not has_full_stop)


def _is(key: str, word: str) -> bool:
    """Whether a word matches the key; "boil*" matches any word that begins so. Both are in lower
    case."""
    return word.startswith(key[:-1]) if key.endswith("*") else word == key
