"""The texts of the page: one catalogue for each language, LANGUAGE.json in this folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from align_core.config.methods import Method, methods

ENGLISH = "en"  # the language at the root path; its catalogue is complete
FOLDER = Path(__file__).parent


def languages() -> dict[str, str]:
    """Language -> path of its page below the root; English, at the root, comes first."""
    tags = sorted(path.stem for path in FOLDER.glob("*.json"))
    return {ENGLISH: ""} | {tag: tag for tag in tags if tag != ENGLISH}


def catalogue(language: str) -> dict[str, Any]:
    """The catalogue of `language`, as nested dictionaries of strings.

    Raises FileNotFoundError for a language without a catalogue.
    """
    return json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))


def load(language: str = ENGLISH) -> dict[str, Any]:
    """The texts of the page in `language`, including those in the methods' records.

    Missing texts are in English. Raises FileNotFoundError as `catalogue` does.
    """
    words = _merged(catalogue(ENGLISH), catalogue(language))
    for method in methods().values():
        words = _merged(_words(method, language), words)
    return words


def _words(method: Method, language: str) -> dict[str, Any]:
    """The texts in a method's record; missing names are the identifiers themselves."""
    own = _merged(method.words.get(ENGLISH, {}), method.words.get(language, {}))
    metrics = [curve.metric for chart in method.charts for curve in chart.curves]
    charts = {
        "titles": {chart.id: chart.id for chart in method.charts},
        "help": {chart.id: "" for chart in method.charts},
        "metrics": {metric: {"name": metric, "unit": "", "help": ""} for metric in metrics},
    }
    named = {"name": own.get("name", method.name), "explanation": own.get("explanation", "")}
    return {"methods": {method.name: named}, "charts": _merged(charts, own.get("charts", {}))}


def _merged(words: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`words` with the values of `overrides`, merged at every depth."""
    merged = {**words, **overrides}
    for name in words.keys() & overrides.keys():
        if isinstance(words[name], Mapping) and isinstance(overrides[name], Mapping):
            merged[name] = _merged(words[name], overrides[name])
    return merged
