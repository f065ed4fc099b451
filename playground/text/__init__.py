"""The texts of the page: one catalogue for each language, LANGUAGE.json in this folder.

Those of the story are in a folder of their own, because a lecturer may replace them.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

from align_core.config.methods import Method, methods

ENGLISH = "en"  # the language at the root path; its catalogue is complete
FOLDER = Path(__file__).parent
STORY = FOLDER / "story"  # the texts of its scenes, a file for each language
_LOG = logging.getLogger(__name__)
_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", re.ASCII)  # BCP 47; it is a path of the page


def languages() -> dict[str, str]:
    """Language -> path of its page below the root; English, at the root, comes first.

    A file that is not a catalogue is skipped.
    """
    tags = sorted(path.stem for path in FOLDER.glob("*.json") if _is_catalogue(path))
    return {ENGLISH: ""} | {tag: tag for tag in tags if tag != ENGLISH}


def catalogue(language: str) -> dict[str, Any]:
    """The catalogue of `language`, as nested dictionaries and lists of strings.

    Raises FileNotFoundError for a language without a catalogue.
    """
    return json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8-sig"))


def story(language: str) -> dict[str, Any]:
    """The texts of the story in `language`; {} if it has none."""
    path = STORY / f"{language}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def load(language: str = ENGLISH) -> dict[str, Any]:
    """The texts of the page in `language`, with those of the story and of the methods' records.

    Missing and invalid texts are in English. Raises FileNotFoundError as `catalogue` does.
    """
    unnamed = {"language": {"tag": language, "name": language}}
    english = catalogue(ENGLISH) | unnamed | {"story": story(ENGLISH)}
    words = _translated(english, catalogue(language) | {"story": story(language)})
    for method in methods().values():
        words = _merged(_words(method, language), words)
    return words


@cache
def _is_catalogue(path: Path) -> bool:
    """Whether a file is the catalogue of a language; if not, that is logged once."""
    problem: Exception | str | None = None
    try:
        if not _TAG.fullmatch(path.stem):
            problem = "its name is not a language tag"
        elif not isinstance(catalogue(path.stem), dict):
            problem = "expected an object"
    except (OSError, ValueError, RecursionError) as error:
        problem = error
    if problem is not None:
        _LOG.warning("The catalogue %s is skipped: %s", path, problem)
    return problem is None


def _translated(text: Any, translation: Any) -> Any:
    """`translation`, with the English `text` in place of parts that have another form.

    The same form means the same keys, lists of the same length, and no other placeholders.
    """
    match text, translation:
        case dict(), dict():
            return {name: _translated(text[name], translation.get(name)) for name in text}
        case list(), list() if len(text) == len(translation):
            return [_translated(*pair) for pair in zip(text, translation, strict=True)]
        case str(), str() if _placeholders(translation) <= _placeholders(text):
            return translation
    return text


def _placeholders(text: str) -> set[str]:
    """The {placeholders} of a text; for a text with an unclosed brace, the text itself."""
    try:
        return {field for _, field, *_ in Formatter().parse(text) if field is not None}
    except ValueError:
        return {text}


def _words(method: Method, language: str) -> dict[str, Any]:
    """The texts in a method's record, with identifiers in place of missing names."""
    method_words = _merged(method.words.get(ENGLISH, {}), method.words.get(language, {}))
    metrics = [curve.metric for chart in method.charts for curve in chart.curves]
    charts = {
        "titles": {chart.id: chart.id for chart in method.charts},
        "help": {chart.id: "" for chart in method.charts},
        "metrics": {metric: {"name": metric, "unit": "", "help": ""} for metric in metrics},
    }
    names = {
        "name": method_words.get("name", method.name),
        "explanation": method_words.get("explanation", ""),
    }
    return {
        "methods": {method.name: names},
        "charts": _merged(charts, method_words.get("charts", {})),
        "choices": {
            option: {value: value for value in values} for option, values in method.choices.items()
        },
    }


def _merged(words: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`words` with the values of `overrides`, merged at every depth."""
    merged = {**words, **overrides}
    for name in words.keys() & overrides.keys():
        if isinstance(words[name], Mapping) and isinstance(overrides[name], Mapping):
            merged[name] = _merged(words[name], overrides[name])
    return merged
