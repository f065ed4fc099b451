"""Mentions of cities and countries in a text, by any of their names."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from align_core.tasks.capitals.countries import CITY_ALIASES, COUNTRIES, COUNTRY_ALIASES
from align_core.tasks.grammar import tokenize

CITIES = tuple(dict.fromkeys(city for c in COUNTRIES for city in (*c.capitals, *c.mistakes)))


@dataclass(frozen=True)
class Mention:
    """A place under its `name` in the table, at tokens[start:end]."""

    name: str
    start: int
    end: int
    is_city: bool


def _key(name: str) -> tuple[str, ...]:
    return tuple(tokenize(name.removeprefix("the ")))


def _spellings(names: tuple[str, ...], aliases: dict[str, str]) -> dict[tuple[str, ...], str]:
    spellings = {_key(name): name for name in names}
    for name, others in aliases.items():
        spellings.update({_key(other): name for other in others.split("; ")})
    return spellings


_CITY_OF = _spellings(CITIES, CITY_ALIASES)
_COUNTRY_OF = _spellings(tuple(c.name for c in COUNTRIES), COUNTRY_ALIASES)
_BY_FIRST: dict[str, list[tuple[str, ...]]] = {}
for _phrase in sorted({**_CITY_OF, **_COUNTRY_OF}, key=len, reverse=True):
    _BY_FIRST.setdefault(_phrase[0], []).append(_phrase)


def place_tokens(text: str) -> tuple[list[str], list[Mention]]:
    """The tokens of a text, with every place under its name in the table, and its mentions."""
    plain = unicodedata.normalize("NFKD", text)
    raw = tokenize("".join(char for char in plain if not unicodedata.combining(char)))
    tokens: list[str] = []
    mentions: list[Mention] = []
    position = 0
    while position < len(raw):
        phrase = _phrase_at(raw, position)
        if phrase is None:
            tokens.append(raw[position])
            position += 1
            continue
        after = raw[position + len(phrase) : position + len(phrase) + 2]
        is_city = phrase in _CITY_OF and (
            phrase not in _COUNTRY_OF or _reads_as_city(tokens[-2:], after)
        )
        name = (_CITY_OF if is_city else _COUNTRY_OF)[phrase]
        words = tokenize(name)
        if words[0] == "the" and tokens[-1:] == ["the"]:
            tokens.pop()
        mentions.append(Mention(name, len(tokens), len(tokens) + len(words), is_city))
        tokens += words
        position += len(phrase)
    return tokens, mentions


def _phrase_at(raw: list[str], position: int) -> tuple[str, ...] | None:
    for phrase in _BY_FIRST.get(raw[position], ()):
        if tuple(raw[position : position + len(phrase)]) == phrase:
            return phrase
    return None


def _reads_as_city(before: list[str], after: list[str]) -> bool:
    """Whether a name of both a city and a country, like Luxembourg, is the city here: not in "of
    Luxembourg" or "Luxembourg has"."""
    before = [token for token in before if token != "the"]
    if before[-1:] == ["of"] or after[:1] == ["has"]:
        return False
    return after not in (["is", "a"], ["is", "in"])
