"""charts/geometry.js: the axes of the frontier chart and the points of runs."""

from __future__ import annotations

import functools

import pytest

FRONTIER = {"full_gain": 2.5, "reference": "sft", "curve": [[0, 0], [1, 2], [2, 2.5]]}


@pytest.fixture
def geometry(call):
    return functools.partial(call, "charts/geometry.js")


def run(model="sft", kl=(0, 0.5, 1), gain=(0, 0.4, 0.8)):
    steps = [0, 5, 10]
    return {
        "config": {"model": model},
        "series": {
            "eval/kl": {"x": steps[: len(kl)], "y": list(kl)},
            "eval/gain": {"x": steps[: len(gain)], "y": list(gain)},
        },
    }


def test_a_trail_is_drawn_at_its_share_of_the_full_gain(geometry):
    """Shares of a full gain of 2.5 nats: 0.4 · 2.5 = 1 and 0.8 · 2.5 = 2."""
    assert geometry("trail", run(), FRONTIER) == {
        "steps": [0, 5, 10],
        "x": [0, 0.5, 1],
        "y": [0, 1, 2],
    }
    shorter = geometry("trail", run(gain=(0, 0.4)), FRONTIER)
    assert shorter == {"steps": [0, 5], "x": [0, 0.5], "y": [0, 1]}, "both are measured"


def test_a_run_from_another_reference_has_no_trail(geometry):
    nowhere = {"steps": [], "x": [], "y": []}
    assert geometry("trail", run(model="own"), FRONTIER) == nowhere
    assert geometry("trail", None, FRONTIER) == nowhere
    assert geometry("trail", {"config": {"model": "sft"}, "series": {}}, FRONTIER) == nowhere


def test_the_axes_contain_the_frontier(geometry):
    """The axes extend to a KL of 2.6 nats, and to 120% of the curve's maximum, 2.5."""
    trails = [{"x": [], "y": []}, {"x": [1], "y": [2]}]
    axes = geometry("tradeOffAxes", FRONTIER, trails, 0.25)
    assert axes["x"] == pytest.approx([-0.052, 2.6])
    assert axes["y"] == pytest.approx([-1, 3]), "a quarter of the height is below 0"
    assert axes["wide"] is False


def test_the_axes_follow_a_trail_up_to_the_widest(geometry):
    axes = geometry("tradeOffAxes", FRONTIER, [{"x": [4, 8], "y": [1, -1]}], 0.1)
    assert axes["x"] == pytest.approx([-0.02 * 8.8, 8.8]), "8 nats and a tenth"
    assert axes["y"] == pytest.approx([-1.3, 3]), "0.3 nats below the lowest"
    assert axes["wide"] is True
    beyond = geometry("tradeOffAxes", FRONTIER, [{"x": [4, 8.01], "y": [1, -9]}], 0.25)
    assert beyond["x"][1] == pytest.approx(4.4), "points outside do not count"
    assert beyond["y"][0] == pytest.approx(-1)


def test_a_nearly_flat_curve_is_not_magnified(geometry):
    assert geometry("flatRange", [1, 1.01], True) == pytest.approx([0.985, 1.025])
    assert geometry("flatRange", [0.001], False) == pytest.approx([0, 0.04]), "not below zero"
    assert geometry("flatRange", [0.001], True) == pytest.approx([-0.019, 0.021])
    assert geometry("flatRange", [1, 1.02], True) is None
    assert geometry("flatRange", [], True) is None


def test_the_axis_of_steps_has_room_at_both_ends(geometry):
    assert geometry("stepRange", 100) == pytest.approx([-2, 102])
