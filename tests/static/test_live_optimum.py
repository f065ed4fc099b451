"""lab/live_optimum.js: the optimum over the texts of one prompt."""

from __future__ import annotations

import math

import pytest

EXAMPLE = {
    "shares": [0.75, 0.25],
    "gold": [0.0, 1.0],
    "errors": {"student": [50, 0]},
}


def test_the_optimum_weighs_texts_by_their_reward(call):
    """w = 0.75·e⁰ and 0.25·e^(1/0.5) = 1.847; π = 0.289 and 0.711."""
    found = call("lab/live_optimum.js", "optimum", EXAMPLE, 0.5, "none")
    second = 0.25 * math.exp(2) / (0.75 + 0.25 * math.exp(2))
    assert found["policy"] == pytest.approx([1 - second, second])
    assert found["gold"] == pytest.approx(second)
    entropy = -second * math.log(second) - (1 - second) * math.log(1 - second)
    assert found["texts"] == pytest.approx(math.exp(entropy))
    kl = second * math.log(second / 0.25) + (1 - second) * math.log((1 - second) / 0.75)
    assert found["kl"] == pytest.approx(kl)


def test_an_error_can_decide_and_its_gold_does_not_count_it(call):
    found = call("lab/live_optimum.js", "optimum", EXAMPLE, 0.05, "student")
    assert found["policy"] == pytest.approx([1, 0]) and found["gold"] == pytest.approx(0)
    assert (found["rewards"], found["texts"]) == ([50, 1], pytest.approx(1))
