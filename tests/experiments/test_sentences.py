"""The sentences of verdicts and findings."""

from __future__ import annotations

import pytest

from align_core.experiments.sentences import render_findings

ENGLISH = {"join": " and ", "apples": "{n} apples", "she": "She", "ate": "{who} ate {what}."}
GERMAN = {"join": " und ", "apples": "{n} Äpfel", "she": "Sie", "ate": "{what} aß {who}."}
FOUND = [
    ("ate", {"who": [("she", {})], "what": [("apples", {"n": "3"}), ("apples", {"n": "4"})]}),
    ("ate", {"who": "{n}", "what": []}),
]


def test_findings_are_rendered_in_each_language():
    assert render_findings(FOUND, ENGLISH) == ["She ate 3 apples and 4 apples.", "{n} ate ."]
    assert render_findings(FOUND, GERMAN) == ["3 Äpfel und 4 Äpfel aß Sie.", " aß {n}."]


def test_a_language_without_the_template_is_an_error():
    with pytest.raises(KeyError, match="apples"):
        render_findings(FOUND, {name: text for name, text in ENGLISH.items() if name != "apples"})
