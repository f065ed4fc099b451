"""Names at the ends of curves."""

from __future__ import annotations

import pytest

from align_core.experiments.presentation import LINE, labelled, spread


@pytest.mark.parametrize(
    "heights, expected",
    [
        ([0.0, 5.0], [0.0, 5.0]),
        ([3.0, 3.0], [2.5, 3.5]),
        ([3.2, 3.0, 9.0], [3.6, 2.6, 9.0]),
        ([0.0, 0.9, 1.0], [-0.3667, 0.6333, 1.6333]),  # mean 0.6333, one apart
    ],
)
def test_names_that_would_overlap_keep_their_order_and_mean(heights, expected):
    assert spread(heights, 1.0) == pytest.approx(expected, abs=1e-4)


def test_a_name_stands_at_the_end_of_its_curve():
    curves = [
        {"name": "a", "colour": "ppo", "x": [1, 2], "y": [0.0, 10.0]},
        {"name": "b", "colour": "dpo", "x": [1, 3], "y": [0.0, 10.0]},
    ]
    first, second = labelled({"curves": curves})["labels"]
    assert (first["name"], first["colour"], first["x"]) == ("a", "ppo", 2)
    assert second["y"] - first["y"] == pytest.approx(10 * LINE)
    assert second["y"] + first["y"] == pytest.approx(20)
    wide = [curve | {"half": [10.0, 0.0]} for curve in curves]  # from −10 to 10
    first, second = labelled({"curves": wide})["labels"]
    assert second["y"] - first["y"] == pytest.approx(20 * LINE)
