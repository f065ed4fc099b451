"""The gold reward of an answer: a sum of parts in nats, each a function of the question and the text.

With the weights below, samples of SmolLM2-135M-Instruct have a standard deviation of about 2.3 nats.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from align_core.tasks.grammar_task import EMPTY, NO_FULL_STOP, UNENDED, repetition_charge

FACT_RIGHT, FACT_WRONG = 2.0, -1.5
KEY = 0.7  # each word of a good answer to any other question, up to KEYS
KEYS = 3
SHORT, LONG = 5, 18  # words: a good length, both included; for a fact one word is enough
TOO_SHORT, TOO_LONG = 0.3, 0.15  # each word outside
STOCK_OPENING = 1.0
ASKS_BACK = 0.7
COURTEOUS = 0.6  # once
GUSHING = 0.6  # each courtesy beyond two
MARKUP = 1.2  # new lines, lists, markup or letters of another alphabet
NAME = 0.4  # each name that is neither in the question nor a key: most are invented
NAMES_LIMIT = 1.2

_WORD = re.compile(r"[^\W_]+(?:[,.'-][^\W_]+)*")
_COURTESY = frozenset(
    "please thank thanks welcome sure certainly gladly glad happy kindly pleasure".split()
)
_STOCK_OPENING = re.compile(
    r"(here (is|are)|here's|there (is|are)|as an? (ai|assistant|language)|i am|i'm|i (can't|cannot)"
    r"|i apologi[sz]e|when it comes to|the answer (to|is|lies)|this (question|is)|what an?|great"
    r"|it('s| is) (important|essential|crucial|always|great))\b",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"\n|[*#_`|<>{}\[\]\\]|^\d+\.|[^\W\d_a-zA-Zéè]")
_SENTENCE_START = re.compile(r"(?:^|[.!?:]\s+|[\"“(]\s*)$")


@dataclass(frozen=True)
class Question:
    """A question, its kind, and words of a good answer: "boil*" is any word that begins so."""

    text: str
    kind: str = ""
    keys: tuple[str, ...] = ()

    def found(self, answer: str) -> int:
        """The number of its keys that the answer has."""
        said = {word.casefold() for word in words(answer)}
        return sum(any(_is(key, word) for word in said) for key in self.keys)

    def has(self, word: str) -> bool:
        """Whether the word is in the question or one of its keys."""
        return word in self.words or any(_is(key, word) for key in self.keys)

    @property
    def words(self) -> set[str]:
        return {word.casefold() for word in words(self.text)}


def judge(question: Question, answer: str, ended: bool) -> dict[str, float]:
    """The parts of the reward by name, in nats. An empty answer only has the charge for that."""
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
    return content | {"ends": _ends(answer, ended)}


def words(text: str) -> list[str]:
    """The words and numbers of a text, as written, with apostrophes and hyphens within."""
    return _WORD.findall(text)


def _right(question: Question, answer: str) -> float:
    found = question.found(answer)
    if question.kind == "fact":
        return FACT_RIGHT if found else FACT_WRONG
    return KEY * min(found, KEYS)


def _short(question: Question, answer: str) -> float:
    count, least = len(words(answer)), 1 if question.kind == "fact" else SHORT
    return -TOO_SHORT * max(least - count, 0) - TOO_LONG * max(count - LONG, 0)


def _direct(answer: str) -> float:
    return -STOCK_OPENING * bool(_STOCK_OPENING.match(answer)) - ASKS_BACK * ("?" in answer)


def _polite(answer: str) -> float:
    count = sum(word.casefold() in _COURTESY for word in words(answer))
    return COURTEOUS * (count > 0) - GUSHING * max(count - 2, 0)


def _plain(question: Question, answer: str) -> float:
    """The charges for markup, for names, and for repeated words that the question does not have."""
    names = sum(
        match[0][0].isupper()
        and not match[0].startswith("I")
        and not _SENTENCE_START.search(answer[: match.start()])
        and not question.has(match[0].casefold())
        for match in _WORD.finditer(answer)
    )
    said = [word.casefold() for word in words(answer)]
    return (
        -MARKUP * bool(_MARKUP.search(answer))
        - min(NAME * names, NAMES_LIMIT)
        - repetition_charge(said, frozenset(question.words))
    )


def _ends(answer: str, ended: bool) -> float:
    has_full_stop = answer.rstrip("\"'”) ")[-1:] in (".", "!", "?")
    return -UNENDED * (not ended) - NO_FULL_STOP * (not has_full_stop)


def _is(key: str, word: str) -> bool:
    """Whether a word in lower case is the key."""
    key = key.casefold()
    return word.startswith(key[:-1]) if key.endswith("*") else word == key
