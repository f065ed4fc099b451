"""charts/label_places.js: labels beside their points, in pixels; y grows downwards."""

from __future__ import annotations

import functools

import pytest

ROOM = {"left": 0, "top": 0, "right": 100, "bottom": 100}
LABEL = {"x": 50, "y": 50, "gap": 5, "width": 20, "height": 10}


@pytest.fixture
def places(call):
    return functools.partial(call, "charts/label_places.js")


def box(left, top, right, bottom, weight=1):
    return {"left": left, "top": top, "right": right, "bottom": bottom, "weight": weight}


@pytest.mark.parametrize(
    "side, expected",
    [
        ("middle right", [55, 45, 75, 55]),
        ("top center", [40, 35, 60, 45]),
        ("bottom left", [25, 55, 45, 65]),
    ],
)
def test_a_label_stands_at_a_side_of_its_point(places, side, expected):
    """The gap is 5: to the right from 50 + 5 on, above up to 50 − 5."""
    at = places("boxAt", LABEL, side)
    assert [at[edge] for edge in ("left", "top", "right", "bottom")] == expected


def test_a_label_takes_the_first_side_that_covers_nothing(places):
    right, above = box(60, 50, 61, 51), box(50, 40, 51, 41)
    assert places("sidesOf", [LABEL], [], ROOM) == ["middle right"]
    assert places("sidesOf", [LABEL], [right], ROOM) == ["top center"]
    assert places("sidesOf", [LABEL], [right, above], ROOM) == ["bottom center"]


def test_where_every_side_covers_something_it_covers_least(places):
    """Everything is covered, the lower left only from 30 on: 15 · 10 in place of 20 · 10 pixels."""
    drawn = [box(0, 0, 100, 55), box(30, 55, 100, 100)]
    assert places("sidesOf", [LABEL], drawn, ROOM) == ["bottom left"]


def test_a_label_rather_covers_lines_than_texts(places):
    """A line covers the right side whole, 200 pixels; texts cover 60 or more of each other side."""
    line, texts = box(55, 45, 75, 55), box(0, 0, 46, 100, weight=10)
    above = box(46, 0, 100, 38, weight=10)
    below = box(46, 62, 100, 100, weight=10)
    assert places("sidesOf", [LABEL], [line, texts, above, below], ROOM) == ["middle right"]


def test_a_label_rather_covers_something_than_leaves_the_picture(places):
    at_the_edge = LABEL | {"x": 95}
    everything = box(0, 0, 90, 100)
    assert places("sidesOf", [at_the_edge], [everything], ROOM) == ["middle left"]


def test_a_label_moves_only_for_a_much_better_side(places):
    """It covers 20 · 10 pixels, less than the 600 of a move; it may not stay out of the picture."""
    below = LABEL | {"side": "bottom center"}
    assert places("sidesOf", [below], [box(40, 55, 60, 65)], ROOM) == ["bottom center"]
    assert places("sidesOf", [below | {"y": 95}], [], ROOM) == ["middle right"]


def test_two_labels_do_not_cover_each_other(places):
    """Both would stand to the right: 55 to 75, and 57 to 77."""
    first, second = places("sidesOf", [LABEL, LABEL | {"x": 52, "y": 52}], [], ROOM)
    one, two = places("boxAt", LABEL, first), places("boxAt", LABEL | {"x": 52, "y": 52}, second)
    apart = one["right"] <= two["left"] or two["right"] <= one["left"]
    assert apart or one["bottom"] <= two["top"] or two["bottom"] <= one["top"]


def test_no_label_stands_at_the_point_of_another(places):
    """To the right the first one would end at 65, 5 from the other's point."""
    labels = [LABEL | {"x": 40}, LABEL | {"x": 70}]
    assert places("sidesOf", labels, [], ROOM) == ["top center", "middle right"]
