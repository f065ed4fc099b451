"""Judges an answer by the places that it claims, denies or only mentions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from align_core.tasks.capitals.countries import COUNTRIES, Country
from align_core.tasks.capitals.places import CITIES, Mention
from align_core.tasks.grammar import PUNCTUATION

# Rewards and penalties in nats. An answer gets the reward of its kind, minus the penalties.
DIRECT = 2.5
RAMBLING = 1.5
LISTED = 0.0  # the capital among several cities, without a choice
EVASIVE = -1.0
WRONG = -2.5
DIRECT_WORDS = 8  # a right answer of more words is rambling; a name counts as one word
OFFICE_WORDS = 7  # further words allowed for each further capital of the same country
LONG_WORD = 0.05  # penalty for each word beyond BRIEF, at most LONG_LIMIT in all
LONG_LIMIT = 0.7
BRIEF = 5
OTHER_CITY = 0.25  # penalty for each other city in a right answer
HEDGE = 0.4  # penalty for each "maybe"
OTHER_COUNTRY = 4.0  # penalty if the right city is given as the capital of another country

_HEDGES = frozenset("maybe perhaps probably possibly guess suppose might unsure".split())
_NOT = frozenset("not never neither nor except isn't wasn't aren't".split())
_FALSE = frozenset(
    "myth falsely wrongly mistakenly erroneously untrue lie nonsense incorrectly".split()
)
_EXCEPT = (("anything", "but"), ("anywhere", "but"), ("everything", "but"), ("city", "but"))
_TURNS = frozenset("but actually however rather no nah nope mean meant sorry wait scratch".split())
_CONCEDING = frozenset("although though while some".split())
_MISTAKING = frozenset(
    "mix mixes mixed confuse confuses confused mistake mistakes mistook mistaken".split()
)
_SIZES = frozenset("biggest bigger largest larger busiest busier".split())
_PAST = frozenset("former formerly previously before used until".split())
_PAST_AFTER = frozenset("once formerly previously before until".split())
_BE = frozenset("is was are were be 's".split())
_WRONG_WORDS = frozenset("wrong mistaken incorrect false untrue not isn't aren't wasn't".split())
_CLAUSE_ENDS = frozenset([*".!?;,", "and", "but", "while", "whereas", "although", "though"])
_NOES = frozenset("no nope never".split())
_BY_NAME = {country.name: country for country in COUNTRIES}


def judge(
    country: Country, tokens: Sequence[str], mentions: Sequence[Mention], names_unknown: bool
) -> float:
    """The reward in nats of an answer to "What is the capital of `country`?", without penalties
    for its language. `names_unknown` says whether it names a place that is in no table."""
    words = sum(token not in PUNCTUATION for token in tokens)
    words -= sum(m.end - m.start - 1 for m in mentions)
    city_names = {m.name for m in mentions if m.is_city}
    words -= OFFICE_WORDS * max(len(city_names & {*country.capitals}) - 1, 0)
    value = WRONG if names_unknown else _value(country, tokens, mentions, words)
    return value - min(LONG_WORD * max(words - BRIEF, 0), LONG_LIMIT)


def _value(
    country: Country, tokens: Sequence[str], mentions: Sequence[Mention], words: int
) -> float:
    """The reward of the answer's kind, minus penalties for hedges, other cities and countries."""
    named_cities = [m for m in mentions if m.is_city]
    cities = [m for m in named_cities if not _is_capital_elsewhere(m, country, mentions, tokens)]
    denied = [m for m in cities if _is_denied(m, tokens)]
    claimed = [m for m in cities if m not in denied and not _is_conceded(m, tokens)]
    claimed = [m for m in claimed if not _is_aside(m, tokens)] or claimed
    if not claimed:
        all_are_of_others = bool(named_cities) and not cities
        denies = any(m.name in country.capitals for m in denied)
        return WRONG if all_are_of_others or denies else EVASIVE
    right = [m.name in country.capitals for m in claimed]
    if not any(right):
        return WRONG
    final = _final(claimed, tokens)
    names = {m.name for m in final}
    if names.isdisjoint(country.capitals):
        between = tokens[claimed[0].end : final[0].start]
        return LISTED if _TURNS.isdisjoint(between) else WRONG
    if not names <= set(country.capitals):
        return LISTED
    others = {m.name for m in named_cities} - set(country.capitals)
    value = DIRECT if words <= DIRECT_WORDS and all(right) else RAMBLING
    value -= OTHER_CITY * len(others)
    value -= HEDGE * sum(token in _HEDGES for token in tokens)
    countries = {m.name for m in mentions if m.kind == "country"}.difference(CITIES)
    wrong_country = bool(countries) and country.name not in countries
    return value - OTHER_COUNTRY * wrong_country


def _is_capital_elsewhere(
    city: Mention, country: Country, mentions: Sequence[Mention], tokens: Sequence[str]
) -> bool:
    """Whether it is rightly called the capital of another country, as Berlin is in "France has
    Paris and Germany has Berlin"."""
    if city.name in country.capitals or country.name not in {m.name for m in mentions}:
        return False
    start, end = _clause(city, tokens)
    others = [
        _BY_NAME[m.name]
        for m in mentions
        if m.kind == "country" and start <= m.start < end and m.name != country.name
    ]
    return any(city.name in other.capitals for other in others)


def _clause(city: Mention, tokens: Sequence[str]) -> tuple[int, int]:
    """The clause with the city: the numbers of its first token and of the token after its last."""
    starts = (i + 1 for i in range(city.start) if tokens[i] in _CLAUSE_ENDS)
    ends = (i for i in range(city.end, len(tokens)) if tokens[i] in _CLAUSE_ENDS)
    return max(starts, default=0), min(ends, default=len(tokens))


def _before(city: Mention, tokens: Sequence[str]) -> Sequence[str]:
    """The words of the clause before a city."""
    start = max(
        (i + 1 for i in range(city.start) if tokens[i] in ".!?;,:" or tokens[i] in _TURNS),
        default=0,
    )
    return tokens[start : city.start]


def _is_denied(city: Mention, tokens: Sequence[str]) -> bool:
    """Whether the answer denies this city: before it ("not Lyon"), after it ("Lyon is not the
    capital", "Lyon? No."), or by contradicting others ("some say Lyon, but they are wrong")."""
    before, after = _before(city, tokens), list(tokens[city.end :])
    if tuple(tokens[max(city.start - 2, 0) : city.start]) in _EXCEPT:
        return True
    if any(t in _NOT or t in _FALSE or t.endswith("n't") for t in before):
        return True
    if after[:1] and (after[0] in ("isn't", "wasn't") or after[0] in _WRONG_WORDS - {"not"}):
        return True
    if after[:1] and after[0] in _BE and after[1:2] and after[1] in _WRONG_WORDS | _NOT:
        return True
    if after[:1] == ["?"] and after[1:2] and after[1] in _NOES:
        return True
    sentence = after[: next((i for i, t in enumerate(after) if t in ".!?;"), len(after))]
    turn = next((i for i, t in enumerate(sentence) if t in ("but", "although", "though")), None)
    return (
        turn is not None
        and not _WRONG_WORDS.isdisjoint(sentence[turn + 1 : turn + 5])
        and sentence[turn + 1 : turn + 2] != ["not"]
        and len(sentence) - turn <= 7
    )


def _is_conceded(city: Mention, tokens: Sequence[str]) -> bool:
    """Whether the answer mentions this city only as what others say ("Paris, although some say
    Lyon"), or as what was true in the past ("it used to be Bonn")."""
    before = _before(city, tokens)
    is_past = not _PAST.isdisjoint(before) and "still" not in tokens[city.end :]
    is_past |= bool(tokens[city.end : city.end + 1]) and tokens[city.end] in _PAST_AFTER
    return is_past or not _CONCEDING.isdisjoint(before)


def _is_aside(city: Mention, tokens: Sequence[str]) -> bool:
    """Whether the answer says of this city only what it is like ("Lyon is a big city"), or that
    people confuse it with another."""
    following = list(takewhile(lambda t: t == "and" or t not in _CLAUSE_ENDS, tokens[city.end :]))
    describes = following[:1] == ["is"] and "capital" not in following
    is_described = describes and not (_SIZES | _MISTAKING).isdisjoint(following)
    is_described |= (
        following[:2] == ["is", "a"] and "city" in following and "capital" not in following
    )
    return is_described or not _MISTAKING.isdisjoint(_before(city, tokens))


def _final(claimed: Sequence[Mention], tokens: Sequence[str]) -> list[Mention]:
    """The claimed cities at the end of an answer, with only "and", "or", "/" or commas between."""
    last_cities = [claimed[-1]]
    for city in reversed(claimed[:-1]):
        between = tokens[city.end : last_cities[0].start]
        if not all(token in (",", "and", "or", "/") for token in between):
            break
        last_cities.insert(0, city)
    return last_cities
