"""Verdicts in general, and those on the recorded results."""

from __future__ import annotations

import json

import pytest

from align_core import experiments
from align_core.experiments.claims import (
    WORDS,
    conclusions,
    majority,
    render_verdicts,
    verdict,
    verdict_sentences,
)
from playground import text


def test_a_majority_is_more_than_half():
    assert majority([1, 1, 0]) == majority([1, 1, -1]) == 1
    assert majority([-1, -1, 0]) == -1
    assert majority([1, 1, -1, -1]) == majority([1, 0]) == majority([1, 0, -1]) == majority([]) == 0


def test_a_verdict_is_rendered_with_claim_and_reason():
    templates = {"grows": "{who} grows.", "grows_why": "By {n}.", "join": ", ", "it": "It"}
    verdicts = [verdict(sign, "grows", who=[("it", {})], n=2) for sign in (1, -1, 0)]
    assert verdict_sentences(verdicts, templates) == [
        "Holds here: It grows. By 2.",
        "Does not hold here: It grows. By 2.",
        "Not clear here: It grows. By 2.",
    ]
    first = {"verdict": "holds", "claim": "It grows.", "why": "By 2."}
    assert render_verdicts(verdicts, templates)[0] == first


@pytest.mark.parametrize("language", text.languages())
@pytest.mark.parametrize("name", experiments.NAMES)
def test_the_recorded_results_are_judged_in_every_language(name, language):
    words = text.load(language)["lab"]
    assert words["verdicts"].keys() == WORDS.keys()
    assert (words["verdicts"] == WORDS) == (language == "en")
    experiment, result = experiments.load(name), experiments.result(name)
    sentences = render_verdicts(experiment.verdicts(result), words["said"][name])
    assert len(sentences) >= 2
    assert "{" not in json.dumps([[sentence["claim"], sentence["why"]] for sentence in sentences])
    if language == "en":
        lines = conclusions(experiment, result)
        assert lines[: len(sentences)] == [
            f"{WORDS[sentence['verdict']]} {sentence['claim']} {sentence['why']}"
            for sentence in sentences
        ]
