"""Mentions of cities and countries in a text, by any of their names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from align_core.tasks.capitals.city_names import CITY_ALIASES
from align_core.tasks.capitals.countries import COUNTRIES, COUNTRY_ALIASES
from align_core.tasks.grammar import split_words, tokenize

CITIES = tuple(dict.fromkeys(city for c in COUNTRIES for city in (*c.capitals, *c.mistakes)))

_INITIALS = re.compile(r"\b([A-Za-z])\.\s?(?:([A-Za-z])\.)(?:\s?([A-Za-z])\.)?(?=(\s*$)?)")
_LONG_WORD = re.compile(r"[^\W\d_]{5,}")
_NEARLY = 0.8  # the least ratio of equal letters: one wrong letter of five
# Names before a city that make it the name of a person: "George Washington", "Queen Victoria".
_FIRST_NAMES = frozenset(
    """
    george denzel martha booker kerry queen king prince princess lord lady sir mr mrs miss ms dr
    president general john james irving isaiah jude kamasi keri mary robert michael william david
    richard joseph thomas charles anna maria jack paul peter mark tom ben sam max emma grace lucy
    kate alice oliver harry arthur samuel edward henry helen susan julia laura sarah emily
    elizabeth daniel anthony kevin brian steven eric adam justin chris ryan nick alex olivia ella
    mia eva sophie julie jean pierre luis
    """.split()
)
# Words that may be capitalised beside a city, as in title case, without making it part of a name.
_ORDINARY = frozenset(
    """
    a and answer but capital city correct for in is it its my not of or our say says the think
    town was yes no if we you i'd i'm i'll it's that's to be with from as state region province
    dc district metropolitan greater old new north south east west
    """.split()
)
# Words after a city that make it the name of something else: "Paris Hilton", "Lima beans".
_NAMESAKES = frozenset(
    """
    hilton saint-germain jackson match agreement accord accords treaty convention protocol beckham
    coppola vergara loren bean beans hat canal sling mule wall spring sausage sausages envelope
    club post irving capaldi marathon monument bridge declaration principles papers cigar cigars
    schnitzel philharmonic fc united airlines airport hotel syndrome wilde street state
    """.split()
)
# Regions with cities that are named after capitals: "Paris, Texas", "London in Ontario".
_REGIONS = frozenset(
    """
    alabama alaska arizona arkansas california colorado connecticut florida idaho illinois indiana
    iowa kansas kentucky louisiana maine maryland massachusetts michigan minnesota mississippi
    missouri montana nebraska nevada ohio oklahoma ontario oregon pennsylvania tennessee texas utah
    vermont virginia wisconsin wyoming
    """.split()
)


Kind = Literal["city", "country", "namesake"]


@dataclass(frozen=True)
class Mention:
    """A place, by its `name` in the table, at tokens[start:end]. A "namesake" has a city's name but
    is not a city, such as Paris Hilton."""

    name: str
    start: int
    end: int
    kind: Kind

    @property
    def is_city(self) -> bool:
        return self.kind == "city"


def _plain(text: str) -> str:
    """The text without accents, and with initials as one word: "D.C." becomes "DC"."""
    decomposed = unicodedata.normalize("NFKD", text)
    text = "".join(char for char in decomposed if not unicodedata.combining(char))
    return _INITIALS.sub(
        lambda match: (
            "".join(filter(None, match.groups()[:3])) + ("." if match[4] is not None else "")
        ),
        text,
    )


def _key(name: str) -> tuple[str, ...]:
    return tuple(token for token in tokenize(_plain(name.removeprefix("the "))) if token != ".")


def _spellings(names: tuple[str, ...], aliases: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    spellings = {_key(name): name for name in names}
    for name, others in aliases.items():
        spellings.update({_key(other): name for other in others.split("; ")})
    return spellings


_CITY_OF = _spellings(CITIES, CITY_ALIASES)
_COUNTRY_OF = _spellings(tuple(c.name for c in COUNTRIES), COUNTRY_ALIASES)
_BY_FIRST: dict[str, list[tuple[str, ...]]] = {}
_PARTS = {word for c in COUNTRIES for name in c.capitals for word in _key(name) if len(word) >= 5}
for _phrase in sorted({**_CITY_OF, **_COUNTRY_OF}, key=len, reverse=True):
    _BY_FIRST.setdefault(_phrase[0], []).append(_phrase)


def spell_cities(text: str, known: Container[str]) -> str:
    """The text with each word that is nearly a part of a capital's name, like "Canbera", spelt as
    that part; except those in `known`."""

    def spelt(match: re.Match[str]) -> str:
        word = match[0].lower()
        if word in known or word in _PARTS:
            return match[0]
        parts = [part for part in _PARTS if part[0] == word[0]]
        return next(iter(get_close_matches(word, parts, 1, _NEARLY)), match[0])

    return _LONG_WORD.sub(spelt, _plain(text))


def place_tokens(text: str) -> tuple[list[str], list[Mention]]:
    """The tokens of a text, with places renamed as in the table, and the mentions of places."""
    plain = _plain(text)
    raw, cased = tokenize(plain), split_words(plain)
    tokens: list[str] = []
    mentions: list[Mention] = []
    position = 0
    while position < len(raw):
        phrase = _phrase_at(raw, position)
        if phrase is None:
            tokens.append(raw[position])
            position += 1
            continue
        end = position + len(phrase)
        is_city = phrase in _CITY_OF and (
            phrase not in _COUNTRY_OF or _reads_as_city(tokens[-2:], raw[end : end + 2])
        )
        kind: Kind = "city" if is_city else "country"
        name = (_CITY_OF if is_city else _COUNTRY_OF)[phrase]
        words = tokenize(name)
        if is_city and _is_namesake(cased, raw, position, end):
            name, words, kind = " ".join(phrase), [*phrase], "namesake"
        elif words[0] == "the" and tokens[-1:] == ["the"]:
            tokens.pop()
        mentions.append(Mention(name, len(tokens), len(tokens) + len(words), kind))
        tokens += words
        position = end
    return tokens, mentions


def _phrase_at(raw: list[str], position: int) -> tuple[str, ...] | None:
    """The longest name of a place that begins at `position`, also in the genitive ("Germany's");
    None if there is none."""
    first = raw[position]
    for phrase in (*_BY_FIRST.get(first, ()), *_BY_FIRST.get(first.removesuffix("'s"), ())):
        *head, last = raw[position : position + len(phrase)]
        if tuple(head) == phrase[:-1] and last in (phrase[-1], f"{phrase[-1]}'s"):
            return phrase
    return None


def _is_namesake(cased: list[str], raw: list[str], start: int, end: int) -> bool:
    """Whether the city at [start:end] is part of the name of a person or a thing."""
    if raw[end : end + 1] and raw[end] in _NAMESAKES:
        return True
    if raw[end : end + 1] in ([","], ["in"]) and not _REGIONS.isdisjoint(raw[end + 1 : end + 2]):
        return True
    if start and raw[start - 1] in _FIRST_NAMES:
        return True
    if all(token.isupper() for token in cased if token.isalpha()):
        return False
    begins = start < 2 or cased[start - 2] in ".!?:"
    return (start > 0 and not begins and _is_name(cased, raw, start - 1)) or (
        end < len(cased) and _is_name(cased, raw, end)
    )


def _is_name(cased: list[str], raw: list[str], position: int) -> bool:
    word = raw[position]
    return (
        len(word) > 1
        and cased[position][0].isupper()
        and word not in _ORDINARY
        and not word.endswith("ly")
        and word.removesuffix("'s") not in _BY_FIRST
    )


def _reads_as_city(before: list[str], after: list[str]) -> bool:
    """Whether a name that a city shares with a country, like Luxembourg, means the city. In "of
    Luxembourg" or "Luxembourg has" it does not."""
    before = [token for token in before if token != "the"]
    if before[-1:] == ["of"] or after[:1] == ["has"]:
        return False
    return after not in (["is", "a"], ["is", "in"])
