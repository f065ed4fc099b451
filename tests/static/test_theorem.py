"""train/theorem.js: the sentences on both sides of a run's distance from the optimum."""

from __future__ import annotations

import pytest

from playground import text

WORDS = text.load("en")["status"]["theorem"]
MEASURED = {"gap_ci95": 0.3, "kl_ci95": 0.4, "prompts": 64, "texts": 8, "count": 9, "share": 0.444}


@pytest.mark.parametrize(
    "gap, kl, sentences",
    [
        (1.0, 1.5, ["sides", "agree", "heaviest"]),  # √(0.3² + 0.4²) = 0.5
        (1.0, 1.51, ["sides", "differ", "heaviest"]),
        (0.3, 0.1, ["sides", "agree"]),  # a distance that may be 0 has no share
    ],
)
def test_the_sentences_on_both_sides(call, gap, kl, sentences):
    measured = {**MEASURED, "beta": 0.7, "gap": gap, "kl": kl, "named": ["a", "b"]}
    values = {"gap": f"{gap:.2f}", "gap_width": "0.30", "kl": f"{kl:.2f}", "kl_width": "0.40"}
    values |= {"beta": 0.7, "count": 9, "prompts": 64, "share": 44, "named": "“a”, “b”"}
    expected = " ".join(WORDS[name].format(**values) for name in sentences)
    assert call("train/theorem.js", "theoremText", measured, WORDS) == expected
