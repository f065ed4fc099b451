"""Every word the page shows: a catalogue a language, each a file LANGUAGE.json of this folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from align_core.config.methods import Method, methods

ENGLISH = "en"  # the language of the page's root, in which every word is known
FOLDER = Path(__file__).parent


def languages() -> dict[str, str]:
    """Language -> where its page is, below the address of the app; English comes first."""
    known = sorted(path.stem for path in FOLDER.glob("*.json"))
    return {ENGLISH: ""} | {language: language for language in known if language != ENGLISH}


def catalogue(language: str) -> dict[str, Any]:
    """What the file of `language` holds, as nested dictionaries of strings.

    Raises FileNotFoundError for a language that has none.
    """
    return json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))


def load(language: str = ENGLISH) -> dict[str, Any]:
    """The words of the page in `language`, those of every method included.

    What its catalogue lacks is said in English. Raises FileNotFoundError as `catalogue` does.
    """
    words = _joined(catalogue(ENGLISH), catalogue(language))
    for method in methods().values():
        words = _joined(_words(method, language), words)
    return words


def _words(method: Method, language: str) -> dict[str, Any]:
    """What a method says of itself; where it says nothing, its names."""
    own = _joined(method.words.get(ENGLISH, {}), method.words.get(language, {}))
    metrics = [curve.metric for chart in method.charts for curve in chart.curves]
    charts = {
        "titles": {chart.id: chart.id for chart in method.charts},
        "help": {chart.id: "" for chart in method.charts},
        "metrics": {metric: {"name": metric, "unit": "", "help": ""} for metric in metrics},
    }
    named = {"name": own.get("name", method.name), "explanation": own.get("explanation", "")}
    return {"methods": {method.name: named}, "charts": _joined(charts, own.get("charts", {}))}


def _joined(words: Mapping[str, Any], better: Mapping[str, Any]) -> dict[str, Any]:
    """`words`, but what is in `better`, at any depth, as it is there."""
    joined = {**words, **better}
    for name in words.keys() & better.keys():
        if isinstance(words[name], Mapping) and isinstance(better[name], Mapping):
            joined[name] = _joined(words[name], better[name])
    return joined
