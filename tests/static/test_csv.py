"""The curves of a picture as CSV."""

from __future__ import annotations

import csv
import io

HEADS = ["curve", "point", "KL, nats", "reward"]


def rows(call, traces, heads=HEADS):
    text = call("charts/csv.js", "csvOf", traces, heads)
    assert text.endswith("\r\n")
    return list(csv.reader(io.StringIO(text)))


def test_each_point_that_is_shown_has_a_row(call):
    traces = [
        {"name": "the run", "x": [0, 0.5], "y": [0, -1.25e-7], "text": ["step 0", "step 5"]},
        {"name": "hidden", "x": [1], "y": [1], "visible": False},
        {"name": "β, 0.7", "x": [1], "y": [2], "text": "one for all", "visible": True},
        {"x": [3], "y": [None]},
    ]
    assert rows(call, traces) == [
        HEADS,
        ["the run", "step 0", "0", "0"],
        ["the run", "step 5", "0.5", "-1.25e-7"],
        ["β, 0.7", "one for all", "1", "2"],
        ["", "", "3", ""],
    ]


def test_a_text_is_no_formula_and_a_number_stays_one(call):
    names = ["=1+1", "+1", "-1", "@a", "\t=1", 'say "=1"\n', "a=b", "−1"]
    read = rows(call, [{"name": name, "x": [-1], "y": [-2.5]} for name in names], names[:4])
    assert read[0] == ["'=1+1", "'+1", "'-1", "'@a"]
    assert [row[0] for row in read[1:]] == [*(f"'{name}" for name in names[:5]), *names[5:]]
    assert {tuple(row[2:]) for row in read[1:]} == {("-1", "-2.5")}
