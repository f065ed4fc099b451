from __future__ import annotations

import re

import pytest

from align_core.config.methods import methods
from align_core.config.task_card import BUILT_IN, card
from playground import text
from playground.handlers.form import SETTINGS

WORDS = text.load("en")


def entries(catalogue, path=""):
    """(path, text) of all entries; those of a list count too."""
    match catalogue:
        case str():
            yield path, catalogue
        case dict():
            for key, value in catalogue.items():
                yield from entries(value, f"{path} / {key}")
        case list():
            for place, value in enumerate(catalogue):
                yield from entries(value, f"{path} / {place}")


@pytest.mark.parametrize("language", sorted({*text.LANGUAGES} - {"en"}))
def test_the_languages_say_the_same(language):
    english, other = (dict(entries(text.load(name))) for name in ("en", language))
    assert english.keys() == other.keys()
    for path, words in english.items():
        assert bool(words.strip()) == bool(other[path].strip()), path
        placeholders = [set(re.findall(r"{[^}]*}", one)) for one in (words, other[path])]
        assert placeholders[0] == placeholders[1], path
        if re.search(r"/ prompts /|/ stories / \w+ / (prompt$|answers /)", path):
            assert words == other[path]  # what the models read is English


def test_every_task_method_and_control_has_its_words():
    assert set(WORDS["tasks"]) == set(BUILT_IN)
    assert set(WORDS["methods"]) == set(methods())
    assert {"task", "method", *SETTINGS} <= set(WORDS["controls"])


def test_every_group_of_prompts_has_its_word():
    assert {task: set(named) for task, named in WORDS["groups"].items()} == {
        task: set(card(task).groups) for task in BUILT_IN
    }


def test_every_chart_and_metric_is_explained_and_has_a_unit():
    for chart in (chart for method in methods().values() for chart in method.charts):
        assert WORDS["charts"]["titles"][chart.id]
        assert WORDS["charts"]["help"][chart.id]
        for curve in chart.curves:
            assert set(WORDS["charts"]["metrics"][curve.metric]) == {"name", "unit", "help"}


def test_every_status_has_a_name():
    statuses = {"running", "paused", "finished", "stopped", "failed"}
    assert statuses < set(WORDS["status"]["names"])


def test_a_language_without_catalogue_is_refused():
    with pytest.raises(FileNotFoundError):
        text.load("xx")


def test_every_task_has_a_prompt_to_try_and_a_story_to_score():
    for task in BUILT_IN:
        assert WORDS["try"]["prompts"][task]
        assert {"prompt", "answers", "told"} == set(WORDS["score"]["stories"][task])
