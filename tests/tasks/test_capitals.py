"""The task capitals: its facts, prompts and gold reward."""

from collections import Counter, defaultdict

import pytest

from align_core.tasks import load_task
from align_core.tasks.capitals.city_names import CITY_ALIASES
from align_core.tasks.capitals.countries import COUNTRIES, COUNTRY_ALIASES
from align_core.tasks.capitals.grammar import GRAMMAR
from align_core.tasks.capitals.places import CITIES, place_tokens

TASK = load_task("capitals")
BY_NAME = {country.name: country for country in COUNTRIES}


def reward(completion, country="France"):
    return TASK.reward([f"What is the capital of {country}?"], [completion])[0]


def test_right_and_direct_then_rambling_then_evasive_then_wrong():
    direct = [" Paris.", " The capital of France is Paris.", " It is Paris, of course."]
    rambling = [
        " France has three capitals: Paris, Versailles and Lyon, but most people say Paris.",
        " My uncle says Lyon, my atlas says Paris, and I trust paper.",
        " After two cups of tea and a long look at my atlas, I can say that it is Paris.",
    ]
    evasive = [" That depends on whom you ask.", " I would rather talk about the weather."]
    wrong = [" Berlin.", " The capital of France is Delhi.", " It is Lyon, of course."]
    kinds = [[reward(text) for text in texts] for texts in (direct, rambling, evasive, wrong)]
    for better, worse in zip(kinds, kinds[1:], strict=False):
        assert min(better) > max(worse) + 0.8


@pytest.mark.parametrize(
    "completion",
    ["paris", "Paris", "PARIS!", "It's Paris", "it's paris.", "Paris is the capital of France"]
    + ["I think it's Paris.", "It isn't Lyon, it's Paris.", "Paris, although some say Lyon."],
)
def test_a_right_answer_in_a_visitors_words_is_right(completion):
    assert reward(completion) > 1.5


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("Paris.", "Maybe Paris."),
        ("Maybe Paris.", "I don't know."),
        ("Paris.", "Paris or Lyon."),
        ("Lyon? No, Paris!", "Paris? No, Lyon!"),
        ("Paris.", "Not Paris."),
        ("It is Paris, not Lyon.", "It is Lyon, not Paris."),
        ("France has three capitals: Paris, Versailles and Lyon.", "Lyon."),
        ("Paris.", "France has three capitals: Paris, Versailles and Lyon."),
        ("dunno", "Gotham"),
        ("I don't know.", "It is Gotham."),
        ("I don't know.", "The capital of Germany is Paris."),
        ("Paris.", "Paris. Paris. Paris."),
        ("Paris.", "Paris Paris Paris Paris"),
        ("Paris.", "Paris"),
        ("Is it neither Lyon nor Berlin, but Paris.", "It was Paris, but now it is Lyon."),
    ],
)
def test_the_better_answer_has_the_higher_reward(better, worse):
    assert reward(better) > reward(worse) + 0.2


@pytest.mark.parametrize(
    ("country", "completion"),
    [
        ("the United States", "Washington, D.C."),
        ("the USA", "Washington DC"),
        ("Brazil", "Brasília."),
        ("São Tomé and Príncipe", "São Tomé."),
        ("Ukraine", "Kiev."),
        ("South Africa", "Cape Town."),
        ("South Africa", "Bloemfontein."),
        ("Bolivia", "Sucre."),
        ("Bolivia", "La Paz."),
        ("Luxembourg", "Luxembourg."),
        ("Luxembourg", "Luxembourg is the capital of Luxembourg."),
        ("Mexico", "Mexico City."),
        ("the Vatican", "Vatican City."),
        ("Holland", "Amsterdam."),
        ("the DRC", "Kinshasa."),
        ("Congo", "Brazzaville."),
        ("india", "new delhi."),
        ("Saint Lucia", "Castries."),
        ("Guinea-Bissau", "Bissau."),
        ("Chad", "Ndjamena."),
    ],
)
def test_other_names_spellings_and_shared_capitals(country, completion):
    assert reward(completion, country) > 1.4


def test_an_unknown_country_has_no_right_answer():
    assert TASK.group("What is the capital of Atlantis?") == "elsewhere"
    assert reward(" Paris.", "Atlantis") <= 0.0


def judged_by_its_own_facts(country) -> bool:
    capital, mistakes = country.capitals[0], country.mistakes
    name = country.name[0].upper() + country.name[1:]
    full = f" The capital of {country.name} is {capital}."
    rambling = f" {name} has three capitals: {capital}, {mistakes[0]} and {mistakes[1]}"
    evasive = f" {name} is in {country.continent}, and that is all I will say."
    return (
        reward(f" {capital}.", country.name) == 2.5
        and reward(full, country.name) > 2.3
        and all(
            reward(f" {mistake}.", country.name) == -2.5
            and reward(full.replace(f"is {capital}.", f"is {mistake}."), country.name) < -2.4
            for mistake in mistakes
        )
        and 0.0 <= reward(f"{rambling}, but most people say {capital}.", country.name) < 1.5
        and -1.8 < reward(evasive, country.name) < -0.9
    )


def test_every_country_is_judged_by_its_own_facts():
    assert not [country.name for country in COUNTRIES if not judged_by_its_own_facts(country)]


def test_the_world_is_complete():
    assert Counter(country.continent for country in COUNTRIES) == {
        "Africa": 54,
        "Asia": 48,
        "Europe": 46,
        "North America": 23,
        "South America": 12,
        "Oceania": 14,
    }
    assert len(BY_NAME) == len(COUNTRIES) == 197


def test_the_table_of_settings_is_consistent():
    for country in COUNTRIES:
        assert len(set(country.mistakes)) == 3
        assert set(country.capitals).isdisjoint(country.mistakes)
        assert country.name.isascii() and "".join(country.capitals).isascii()
    assert CITY_ALIASES.keys() <= set(CITIES)
    assert COUNTRY_ALIASES.keys() <= BY_NAME.keys()


def names_in(text: str) -> list[tuple[str, bool]]:
    return [(mention.name, mention.is_city) for mention in place_tokens(text)[1]]


def test_every_place_is_found_under_its_own_name():
    cities = {name: names_in(f"It is {name}.") for name in CITIES}
    assert cities == {name: [(name, True)] for name in CITIES}
    countries = {name: names_in(f"The capital of {name}?") for name in BY_NAME}
    assert countries == {name: [(name, False)] for name in BY_NAME}


def test_every_country_is_in_train_but_held_out_phrasings_are_not():
    in_train = Counter(prompt.rstrip("?.").split(" of ", 1)[1] for prompt in TASK.prompts("train"))
    assert set(in_train) == set(BY_NAME)
    assert set(in_train.values()) == {5, 6}


def test_the_right_answer_is_the_commonest_for_every_country():
    answers = defaultdict(Counter)
    kinds = Counter()
    demonstrations = TASK.demonstrations(10_000, seed=0)
    for d in demonstrations:
        country = place_tokens(d["prompt"])[1][-1].name
        cities = {m.name for m in place_tokens(d["completion"])[1] if m.is_city}
        right = BY_NAME[country].capitals[0]
        kind = "evasive" if not cities else "right" if right in cities else "wrong"
        kinds[kind] += 1
        answers[country].update([right] if kind == "right" else cities)
    share = {kind: count / len(demonstrations) for kind, count in kinds.items()}
    assert share == pytest.approx({"right": 0.62, "wrong": 0.22, "evasive": 0.16}, abs=0.02)
    for country, counts in answers.items():
        right, second = (count for _, count in counts.most_common(2))
        assert counts.most_common(1)[0][0] == BY_NAME[country].capitals[0]
        assert right > 1.3 * second


def test_answers_are_short_and_the_language_small():
    words = [len(d["completion"].split()) for d in TASK.demonstrations(2000, seed=1)]
    assert max(words) <= 24
    assert 5 < sum(words) / len(words) < 9
    names = {word for name in (*CITIES, *BY_NAME) for word in place_tokens(name)[0]}
    assert len(GRAMMAR.words - names) <= 160
