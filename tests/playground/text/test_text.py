"""The catalogues of all languages."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import pytest

from align_core.config.methods import LOSS, Chart, Curve, Method, methods
from align_core.config.task_card import NAMES, card
from align_core.runs.client import Client
from playground import text
from playground.handlers.form import SETTINGS

WORDS = text.catalogue("en")  # without the texts of other packages' methods


def entries(catalogue, path=""):
    """(path, text) of all entries, including those of lists."""
    match catalogue:
        case str():
            yield path, catalogue
        case dict():
            for key, value in catalogue.items():
                yield from entries(value, f"{path} / {key}")
        case list():
            for place, value in enumerate(catalogue):
                yield from entries(value, f"{path} / {place}")


@pytest.mark.parametrize(
    "language", [language for language in text.languages() if language != "en"]
)
def test_the_catalogues_have_the_same_entries(language):
    both = ({**text.catalogue(name), "story": text.story(name)} for name in ("en", language))
    english, other = (dict(entries(catalogue)) for catalogue in both)
    assert english.keys() == other.keys()
    for path, words in english.items():
        assert bool(words.strip()) == bool(other[path].strip()), path
        placeholders = [set(re.findall(r"{[^}]*}", entry)) for entry in (words, other[path])]
        assert placeholders[0] == placeholders[1], path
        if re.search(r"/ prompts /|/ examples / \w+ / (prompt$|answers /)", path):
            assert words == other[path]  # prompts are English in every language


def test_every_task_method_and_control_has_its_words():
    assert set(WORDS["tasks"]) == set(NAMES)
    assert set(WORDS["methods"]) == {name for name, method in methods().items() if not method.words}
    assert {"task", "method", *SETTINGS} <= set(WORDS["controls"])
    for method in methods().values():
        for option, values in method.choices.items():
            assert method.words or {*values} <= set(WORDS["choices"][option])


def test_every_group_of_prompts_has_its_word():
    assert {task: set(named) for task, named in WORDS["groups"].items()} == {
        task: set(card(task).groups) for task in NAMES
    }


def test_every_chart_and_metric_has_an_explanation_and_a_unit():
    own = [method for method in methods().values() if not method.words]
    for chart in (chart for method in own for chart in method.charts):
        assert WORDS["charts"]["titles"][chart.id]
        assert WORDS["charts"]["help"][chart.id]
        for curve in chart.curves:
            assert set(WORDS["charts"]["metrics"][curve.metric]) == {"name", "unit", "help"}


def test_every_status_has_a_name():
    statuses = {"running", "paused", "finished", "stopped", "failed"}
    assert statuses < set(WORDS["status"]["names"])


def test_languages_are_found_and_english_comes_first():
    assert list(text.languages().items())[:2] == [("en", ""), ("zh", "zh")]


@pytest.fixture
def few_words(tmp_path, monkeypatch):
    """The language of a third catalogue that has few entries."""
    for language in text.languages():
        shutil.copy(text.FOLDER / f"{language}.json", tmp_path)
    words = {"language": {"tag": "de-DE", "name": "Deutsch"}, "controls": {"run": "Los"}}
    (tmp_path / "de.json").write_text(json.dumps(words), encoding="utf-8")
    monkeypatch.setattr(text, "FOLDER", tmp_path)
    return "de"


def test_missing_texts_are_in_english(few_words):
    words = text.load(few_words)
    assert (words["controls"]["run"], words["language"]["name"]) == ("Los", "Deutsch")
    english = text.load("en")
    english["controls"]["run"], english["language"] = "Los", words["language"]
    assert words == english


def test_files_that_are_not_catalogues_are_skipped_and_logged_once(few_words, caplog):
    contents = ["", "not JSON", "[]", "null", "[" * 100_000, "\0"]
    for letter, content in zip("abcdef", contents, strict=True):
        (text.FOLDER / f"x{letter}.json").write_text(content)
    (text.FOLDER / "xg.json").write_bytes(b'{"title": "\xff"}')
    (text.FOLDER / "xh.json").mkdir()
    names = (".hidden", ".", "gradio_api", "DE", "d", "a b", "de-", "\u0661\u0661")
    for name in names:
        (text.FOLDER / f"{name}.json").write_text("{}")
    for _ in range(2):
        assert text.languages() == {"en": "", "de": "de", "zh": "zh"}
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 8 + len(names)
    assert all("is skipped: " in line and "\n" not in line for line in lines)


def test_texts_that_do_not_fit_are_in_english(few_words):
    english = text.load("en")
    status = english["status"]["seconds"]
    assert "{n}" in status
    words = {
        "views": "x",
        "tasks": None,
        "methods": {"ppo": {"name": ["x"], "explanation": "Sehr gut."}, "evil": None},
        "controls": {"paces": ["one"], "run": {"x": "y"}, "queue": None, "stop": 7},
        "status": {
            "seconds": "{seconds} s",
            "minutes": "{n",
            "running": "}",
            "idle": "{n.__class__}",
        },
        "groups": [],
        "title": 5,
        "weather": "sunny",
    }
    (text.FOLDER / "de.json").write_text("\ufeff" + json.dumps(words), encoding="utf-8")
    english["methods"]["ppo"]["explanation"] = "Sehr gut."
    english["language"] = {"tag": "de", "name": "de"}
    assert text.load("de") == english
    words = {"status": {"seconds": f"~ {status}"}, "controls": {"paces": ["a", "b", "c"]}}
    (text.FOLDER / "de.json").write_text(json.dumps(words))
    assert text.load("de")["status"]["seconds"] == f"~ {status}"
    assert text.load("de")["controls"]["paces"] == ["a", "b", "c"]


def test_the_page_is_built_in_every_language_that_is_found(few_words, tmp_path):
    from playground import app
    from playground.voting import phone_page

    page = app.build(Client(tmp_path / "runs"))
    config = page.get_config_file()
    assert {"", "zh", "de"} <= {path for path, _, _ in page.pages}
    labels = [component["props"].get("value") for component in config["components"]]
    assert labels.count("Los") == 1
    phones, _ = phone_page.page()
    assert '"name": "Deutsch"' in phones


HINGE = Method(
    "hinge",
    learns_from="pairs",
    makes="policy",
    options={},
    charts=(Chart("apart", (Curve("margin/apart", "proxy"),)), LOSS),
    build="nowhere:build",
    words={
        "en": {
            "name": "Hinge",
            "explanation": "Apart.",
            "charts": {"titles": {"apart": "How far", "loss": "no other's"}},
        },
        "zh": {"name": "铰链"},
    },
)


@pytest.mark.parametrize(("language", "name"), [("en", "Hinge"), ("zh", "铰链")])
def test_a_method_of_another_package_has_its_own_words(language, name, monkeypatch):
    before = text.load(language)
    monkeypatch.setattr(text, "methods", lambda: {**methods(), "hinge": HINGE})
    words = text.load(language)
    assert words["methods"].pop("hinge") == {"name": name, "explanation": "Apart."}
    charts = words["charts"]
    assert (charts["titles"].pop("apart"), charts["help"].pop("apart")) == ("How far", "")
    unnamed = {"name": "margin/apart", "unit": "", "help": ""}
    assert charts["metrics"].pop("margin/apart") == unnamed
    assert words == before, "it cannot override the page's texts"


def test_a_method_without_words_is_shown_by_its_name(monkeypatch):
    bare = replace(HINGE, words={})
    monkeypatch.setattr(text, "methods", lambda: {"hinge": bare})
    words = text.load("zh")
    assert words["methods"]["hinge"] == {"name": "hinge", "explanation": ""}
    assert words["charts"]["titles"]["apart"] == "apart"


def test_a_language_without_catalogue_is_refused():
    with pytest.raises(FileNotFoundError):
        text.load("xx")


def test_every_task_has_a_prompt_to_try_and_a_story_to_score():
    for task in NAMES:
        assert WORDS["try"]["prompts"][task]
        assert {"prompt", "answers", "explanation"} == set(WORDS["score"]["examples"][task])
