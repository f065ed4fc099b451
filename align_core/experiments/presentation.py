"""How a result is shown: the set-up here and in the paper, the panels of the figure, and tables.

A panel is {"title", "x", "y", "curves"}, where "x" and "y" are the titles of the axes. A curve is
{"name", "colour", "mode", "x", "y"}: "colour" names a variable of lab.css, and "mode" is a mode of
Plotly or "bars". Optional keys of a curve are "half", half the widths of the 95% intervals, "dash",
and "quiet", which leaves it out of the legend. Optional keys of a panel are "ticks", the numbers of
a logarithmic horizontal axis, "falling", if it falls from left to right, and "labels", which
`labelled` adds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

from align_core.experiments.statistics import Mean

Panel = dict[str, Any]
SHADES = 4  # of one colour, in lab.css
LINE = 0.075  # the height of a name at the end of a curve, as a share of the vertical range
MARGIN = 0.2  # curves that end in this last share of the horizontal range have names at the edge


class Row(NamedTuple):
    """One part of a set-up, in the paper and here."""

    part: str
    paper: str
    here: str


class Table(NamedTuple):
    """A table of docs/results.md."""

    head: list[str]
    rows: list[list[str]]


Block = Table | str  # of a report; a text is a paragraph


def labelled(panel: Panel) -> Panel:
    """The panel with {"name", "colour", "x", "y"} for each curve at its end, in place of a legend.

    Names that would overlap stand above each other, and none stands above the highest curve. The
    names at the right edge and those of curves that end further left are spread separately.
    """
    curves = panel["curves"]
    heights = [
        y + side * half
        for curve in curves
        for y, half in zip(curve["y"], curve.get("half", [0.0] * len(curve["y"])), strict=True)
        for side in (-1, 1)
    ]
    gap, top = LINE * (max(heights) - min(heights)), max(heights)
    edge = (1 - MARGIN) * max(curve["x"][-1] for curve in curves)
    labels = []
    for at_edge in (False, True):
        group = [curve for curve in curves if (curve["x"][-1] >= edge) == at_edge]
        ends = spread([curve["y"][-1] for curve in group], gap, top)
        labels += [
            {"name": curve["name"], "colour": curve["colour"], "x": curve["x"][-1], "y": end}
            for curve, end in zip(group, ends, strict=True)
        ]
    return {**panel, "labels": labels}


def spread(heights: Sequence[float], gap: float, top: float = math.inf) -> list[float]:
    """The heights, moved so that none is nearer to the next than `gap`, and none above `top`.

    Heights that are too near form a group, which keeps its mean where `top` allows it.
    """

    def lowest(group: list[int]) -> float:
        height = (len(group) - 1) * gap
        return min(fmean(heights[index] for index in group) - height / 2, top - height)

    groups: list[list[int]] = []
    for index in sorted(range(len(heights)), key=lambda index: heights[index]):
        groups.append([index])
        while len(groups) > 1 and lowest(groups[-1]) < lowest(groups[-2]) + len(groups[-2]) * gap:
            last = groups.pop()
            groups[-1] += last
    moved = {
        index: lowest(group) + rank * gap for group in groups for rank, index in enumerate(group)
    }
    return [moved[index] for index in range(len(heights))]


def joined(values: Sequence[float]) -> str:
    """For example "0.1, 1, 10"."""
    return ", ".join(f"{value:,g}" for value in values)


def points(pairs: Sequence[Sequence[float]]) -> dict[str, list[float]]:
    """The "x" and "y" of a curve through these points [x, y]."""
    return {"x": [x for x, _ in pairs], "y": [y for _, y in pairs]}


def means(numbers: Sequence[Mean]) -> dict[str, list[float]]:
    """The "y" and "half" of a curve of means; half is 0 for a single seed."""
    half = [number["ci95"] or 0.0 for number in numbers]
    return {"y": [number["mean"] for number in numbers], "half": half}
