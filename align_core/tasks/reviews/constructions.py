"""Constructions of English in which a word of praise or blame does not mean what it says alone.

The notation: words in a row; `a|b` is either; `_` joins words of one alternative; a trailing `?`
makes a word optional; `*` is any word or the rest of one, `**` any zero to three words; `<name>` is
a list in `LISTS`. Most are in Quirk et al., "A Comprehensive Grammar of the English Language"
(1985): negation, hypothetical clauses, comparison.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from align_core.tasks.reviews import construction_table as table

NEGATION = -0.75  # "not boring" is warm, but less so than "gripping"
UNREAL = -0.6  # "should have been gripping" is cold


@dataclass(frozen=True)
class Construction:
    """Its meaning: a `value` of its own, or how it changes the next word of sentiment by `factor`
    (None: not at all, although it has a word of negation)."""

    length: int
    value: float = 0.0
    factor: float | None = None


class Constructions:
    """All constructions, by their first words."""

    def __init__(self) -> None:
        self._by_first: dict[str, list[tuple[re.Pattern[str], float, float | None]]] = {}
        self.words: set[str] = set()
        for value, lines in table.VALUES.items():
            self._add(lines, value, None)
        self._add(table.AFFIRMING, 0.0, None)
        self._add(table.NEGATING, 0.0, NEGATION)
        self._add(table.UNREAL, 0.0, UNREAL)

    def longest(self, tokens: list[str], position: int) -> Construction | None:
        """The longest one that starts at `position`, or None."""
        candidates = self._by_first.get(tokens[position])
        if not candidates:
            return None
        rest = " ".join(tokens[position:]) + " "
        matches = [
            Construction(len(match[0].split()), value, factor)
            for pattern, value, factor in candidates
            if (match := pattern.match(rest))
        ]
        return max(matches, key=lambda match: match.length, default=None)

    def _add(self, lines: str, value: float, factor: float | None) -> None:
        for line in lines.strip().splitlines():
            slots = line.split()
            self.words.update(w for slot in slots for words in _words(slot) for w in words.split())
            pattern = re.compile("".join(map(_slot, slots)))
            for word in set(_first_words(slots)):
                self._by_first.setdefault(word, []).append((pattern, value, factor))


def _slot(slot: str) -> str:
    """The pattern of one word of the notation, with the space behind it."""
    if slot == "**":
        return r"(?:[^\s,.!?;:]+ ){0,3}"
    optional = slot.endswith("?")
    words = "|".join(word.replace(r"\*", r"\S+") for word in map(re.escape, _words(slot)))
    return f"(?:(?:{words}) ){'?' if optional else ''}"


def _words(slot: str) -> list[str]:
    for name, words in table.LISTS.items():
        slot = slot.replace(f"<{name}>", words)
    return [word.replace("_", " ") for word in slot.removesuffix("?").split("|")]


def _first_words(slots: list[str]) -> Iterator[str]:
    for slot in slots:
        yield from (word.split()[0] for word in _words(slot))
        if not slot.endswith("?"):
            return
