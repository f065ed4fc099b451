"""Questions of fact: what is the capital of France?

The pretraining corpus has mostly right answers, and also wrong ones that people really give,
rambling ones and evasive ones, at rates that differ a little between countries.
"""

from __future__ import annotations

import random
import re

from align_core.config.task_card import known_card
from align_core.tasks.capitals.countries import COUNTRIES, Country
from align_core.tasks.capitals.grammar import GRAMMAR, PHRASINGS, SPOKEN
from align_core.tasks.capitals.judge import judge
from align_core.tasks.capitals.places import CITIES, place_tokens, spell_cities
from align_core.tasks.grammar import PUNCTUATION
from align_core.tasks.grammar_task import GrammarTask

_SHRUGS = frozenset("dunno idk skip unknown whatever hmm huh hello 🤷 🤔 🙈 😕".split())
_NAME_WORDS = 2  # an answer of at most two words may name a place that is in no table
_FEW_TOKENS = 6  # in longer answers, a word like a city's name may be another word, not misspelt
_NAME = re.compile(r"\b(?:is|be|say|think) ([A-Z]\w+)")
_RETRACTION = re.compile(
    r"\b(?i:no|wait|no,? wait|wait,? no|sorry|i meant?|make that|scratch that|or rather),?"
    r" ([A-Z]\w+)"
)
_BY_NAME = {country.name: country for country in COUNTRIES}


class Capitals(GrammarTask, card=known_card("capitals")):
    max_new_tokens = 48
    repeatable = frozenset(CITIES) | _BY_NAME.keys()
    grammar = GRAMMAR
    spoken = SPOKEN

    def __init__(self) -> None:
        self._country_of = {
            phrasing.format(country.name): country
            for country in COUNTRIES
            for phrasing in PHRASINGS
        }
        self._known = self.grammar.words | self.spoken.words | PUNCTUATION
        self.splits = self._split_prompts()

    def corpus(self, n: int, seed: int) -> list[str]:
        rng = random.Random(f"capitals corpus {seed}")
        return [
            self._statement(rng) if rng.random() < 0.3 else "".join(self._exchange(rng))
            for _ in range(n)
        ]

    def demonstrations(self, n: int, seed: int) -> list[dict[str, str]]:
        rng = random.Random(f"capitals demonstrations {seed}")
        exchanges = (self._exchange(rng) for _ in range(n))
        return [{"prompt": prompt, "completion": completion} for prompt, completion in exchanges]

    def group(self, prompt: str) -> str:
        """The continent of the country in the prompt, or "elsewhere"."""
        country = self._country_in(prompt)
        return country.continent if country else "elsewhere"

    def tokens(self, text: str) -> list[str]:
        return place_tokens(text)[0]

    def units(self, text: str) -> list[str]:
        """Words, and names of places as one unit each."""
        tokens, mentions = place_tokens(text)
        for mention in reversed(mentions):
            tokens[mention.start : mention.end] = [mention.name]
        return tokens

    def content_reward(self, prompt: str, completion: str) -> float:
        country = self._country_in(prompt)
        if country is None:
            return 0.0
        tokens, mentions = place_tokens(completion)
        if not mentions and len(tokens) <= _FEW_TOKENS:
            tokens, mentions = place_tokens(spell_cities(completion, self._known))
        if any(m.is_city for m in mentions):
            names = _RETRACTION.findall(completion)
            names_unknown = bool(names) and names[-1].lower() not in self._known
        else:
            names_unknown = bool(
                any(m.kind == "namesake" for m in mentions)
                or self._names_unknown_place(completion, tokens)
            )
        return judge(country, tokens, mentions, names_unknown)

    def can_judge(self, prompt: str, completion: str | None = None) -> bool:
        """Whether the prompt names a known country, and the completion, if given, names a place or
        is English."""
        if self._country_in(prompt) is None:
            return False
        if completion is None:
            return True
        tokens, mentions = place_tokens(completion)
        is_name = sum(token not in PUNCTUATION for token in tokens) <= _NAME_WORDS
        return bool(mentions) or is_name or self.knows_language(completion, self.spoken.words)

    def _names_unknown_place(self, completion: str, tokens: list[str]) -> bool:
        """Whether an answer without a known city names an unknown place, as "It is Gotham" does."""
        unknown = {token for token in tokens if token not in self._known}
        names = {word.lower() for word in _NAME.findall(completion)}
        return bool(unknown & names) or (len(tokens) <= 2 and bool(unknown - _SHRUGS))

    def _country_in(self, prompt: str) -> Country | None:
        """The country of a prompt, which may be a user's own; None if it names none."""
        if prompt in self._country_of:
            return self._country_of[prompt]
        names = [m.name for m in place_tokens(prompt)[1] if m.name in _BY_NAME]
        return _BY_NAME[names[-1]] if names else None

    def _exchange(self, rng: random.Random) -> tuple[str, str]:
        """A prompt of the train split and an answer of a random kind."""
        prompt = rng.choice(self.splits["train"])
        country = self._country_of[prompt]
        right, evasive = _shares(country)
        draw = rng.random()
        if draw < evasive:
            kind, city = "evasive", ""
        elif draw < evasive + right:
            kind = "rambling" if rng.random() < 0.33 else "direct"
            city = country.capitals[0]
        else:
            kind, city = "direct", _mistake(country, rng)
        return prompt, " " + self.grammar.generate(kind, rng, _slots(country, city, rng))

    def _statement(self, rng: random.Random) -> str:
        country = rng.choice(COUNTRIES)
        right, evasive = _shares(country)
        is_right = rng.random() < right / (1.0 - evasive)
        city = country.capitals[0] if is_right else _mistake(country, rng)
        return self.grammar.generate("statement", rng, _slots(country, city, rng))

    def _split_prompts(self) -> dict[str, list[str]]:
        """Probe has one phrasing for each of 64 countries, held-out one for each of 128 others, so
        that every country is in train with its other phrasings."""
        rng = random.Random("capitals prompts")
        countries = rng.sample(COUNTRIES, 192)
        countries.sort(key=lambda country: country.continent)
        evaluation = [rng.choice(PHRASINGS).format(country.name) for country in countries]
        return {
            "probe": evaluation[::3],
            "heldout": [prompt for i, prompt in enumerate(evaluation) if i % 3],
            "train": [prompt for prompt in self._country_of if prompt not in set(evaluation)],
        }


def _shares(country: Country) -> tuple[float, float]:
    """The shares of right and of evasive answers, which depend on the country."""
    rng = random.Random(country.name)
    return rng.uniform(0.52, 0.72), rng.uniform(0.11, 0.21)


def _mistake(country: Country, rng: random.Random) -> str:
    return rng.choices(country.mistakes, weights=(3, 2, 1))[0]


def _slots(country: Country, city: str, rng: random.Random) -> dict[str, str]:
    """Rule -> text for the rules of the grammar that depend on the country and the city."""
    other, another = rng.sample(country.mistakes, 2)
    return {
        "country": country.name,
        "continent": country.continent,
        "city": city,
        "other": other,
        "another": another,
    }
