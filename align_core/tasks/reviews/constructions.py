"""Constructions of English in which a word of praise or blame does not have its usual meaning.

The notation: words in a row; `a|b` is either; `_` joins words of one alternative; a trailing `?`
makes a word optional; `*` is any word or the rest of one, `**` any zero to three words; `<name>` is
a list in `LISTS`. Most are in Quirk et al., "A Comprehensive Grammar of the English Language"
(1985): negation, hypothetical clauses, comparison.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from align_core.tasks.reviews.construction_table import VALUES
from align_core.tasks.reviews.shifter_table import AFFIRMING, NEGATING, UNREAL
from align_core.tasks.reviews.word_lists import LISTS

NEGATION = -0.75  # "not boring" is warm, but less so than "gripping"
HYPOTHESIS = -0.6  # "should have been gripping" is cold


class Construction(NamedTuple):
    """A construction of `length` words: its `value`, or the `factor` by which it multiplies the
    next word of sentiment. A factor of None leaves that word as it is, although the construction
    contains a negation."""

    length: int
    value: float = 0.0
    factor: float | None = None


class Constructions:
    """All constructions, by their first words."""

    def __init__(self) -> None:
        self._by_first: dict[str, list[_Candidate]] = {}
        self.words: set[str] = set()
        for value, lines in VALUES.items():
            self._add(lines, value, None)
        self._add(AFFIRMING, 0.0, None)
        self._add(NEGATING, 0.0, NEGATION)
        self._add(UNREAL, 0.0, HYPOTHESIS)

    def longest(self, tokens: list[str], position: int) -> Construction | None:
        """The longest construction that starts at `position`, or None."""
        candidates = self._by_first.get(tokens[position])
        if candidates is None:
            return None
        second = tokens[position + 1] if position + 1 < len(tokens) else ""
        candidates = [c for c in candidates if c.seconds is None or second in c.seconds]
        if not candidates:
            return None
        rest = " ".join(tokens[position:]) + " "
        matches = [
            Construction(len(match[0].split()), candidate.value, candidate.factor)
            for candidate in candidates
            if (match := _compile(candidate.pattern).match(rest))
        ]
        return max(matches, key=lambda match: match.length, default=None)

    def _add(self, lines: str, value: float, factor: float | None) -> None:
        for line in lines.strip().splitlines():
            slots = line.split()
            self.words.update(w for slot in slots for words in _words(slot) for w in words.split())
            pattern = "".join(map(_slot, slots))
            for word, seconds in _starts(slots).items():
                candidate = _Candidate(pattern, value, factor, seconds)
                self._by_first.setdefault(word, []).append(candidate)


_compile = cache(re.compile)  # each pattern when it is first needed, as a text needs only a few


class _Candidate(NamedTuple):
    """A construction that can start with some word; `seconds` are the words that can follow that
    word, None if any word can."""

    pattern: str
    value: float
    factor: float | None
    seconds: frozenset[str] | None


def _slot(slot: str) -> str:
    """The pattern of one word of the notation, with the space behind it."""
    if slot == "**":
        return r"(?:[^\s,.!?;:]+ ){0,3}"
    optional = slot.endswith("?")
    words = "|".join(word.replace(r"\*", r"\S+") for word in map(re.escape, _words(slot)))
    return f"(?:(?:{words}) ){'?' if optional else ''}"


def _words(slot: str) -> list[str]:
    for name, words in LISTS.items():
        slot = slot.replace(f"<{name}>", words)
    return [word.replace("_", " ") for word in slot.removesuffix("?").split("|")]


def _starts(slots: list[str]) -> dict[str, frozenset[str] | None]:
    """The words with which a construction can start, each with those that can follow it, None if
    any can."""
    starts: dict[str, frozenset[str] | None] = {}
    for i, slot in enumerate(slots):
        following = _first_words(slots[i + 1 :])
        for first, *more in map(str.split, _words(slot)):
            seconds = frozenset(more[:1]) if more else following
            known = starts.get(first, frozenset())
            starts[first] = None if seconds is None or known is None else seconds | known
        if not slot.endswith("?"):
            break
    return starts


def _first_words(slots: list[str]) -> frozenset[str] | None:
    """The words with which the rest of a construction can start; None if it can start with any word
    or be empty."""
    words: set[str] = set()
    for slot in slots:
        words.update(word.split()[0] for word in _words(slot))
        if not slot.endswith("?"):
            return None if any("*" in word for word in words) else frozenset(words)
    return None
