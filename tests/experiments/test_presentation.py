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


def test_no_name_stands_above_the_top():
    """The upper three, 1 apart, end at the top; the mean of the group with the fourth, which they
    then reach, would be higher."""
    assert spread([1.0, 4.9, 5.0, 5.0], 1.0, top=5.0) == pytest.approx([1.0, 3.0, 4.0, 5.0])
    assert spread([2.5, 4.9, 5.0, 5.0], 1.0, top=5.0) == pytest.approx([2.0, 3.0, 4.0, 5.0])
    assert spread([1.0, 1.0, 5.0], 1.0, top=5.0) == pytest.approx([0.5, 1.5, 5.0])


def test_a_name_stands_at_the_end_of_its_curve():
    curves = [
        {"name": "a", "colour": "ppo", "x": [1, 3], "y": [0.0, 10.0]},
        {"name": "b", "colour": "dpo", "x": [1, 3], "y": [0.0, 10.0]},
    ]
    first, second = labelled({"curves": curves})["labels"]
    assert (first["name"], first["colour"], first["x"]) == ("a", "ppo", 3)
    assert (second["y"], first["y"]) == (10.0, pytest.approx(10 - 10 * LINE))
    wide = [curve | {"half": [10.0, 0.0]} for curve in curves]  # from −10 to 10
    first, second = labelled({"curves": wide})["labels"]
    assert second["y"] - first["y"] == pytest.approx(20 * LINE)


def test_names_at_the_edge_leave_those_within_the_picture_alone():
    curves = [
        {"name": "a", "colour": "ppo", "x": [0, 4], "y": [0.0, 9.0]},
        {"name": "b", "colour": "dpo", "x": [0, 10], "y": [0.0, 9.0]},
        {"name": "c", "colour": "ink", "x": [0, 9], "y": [0.0, 9.0]},
    ]
    labels = {label["name"]: label["y"] for label in labelled({"curves": curves})["labels"]}
    assert labels["a"] == 9.0
    assert abs(labels["b"] - labels["c"]) == pytest.approx(9 * LINE)
