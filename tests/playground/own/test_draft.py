"""The files of a task from the values of its form."""

from __future__ import annotations

from playground.own.draft import _as_csv


def test_pairs_that_are_no_table_stay_as_they_are():
    pasted = "prompt\tchosen\n" + "a" * 200_000 + "\tb"  # beyond the largest cell
    assert _as_csv(pasted) == pasted
    assert _as_csv("prompt\tchosen\na, b\tc\n") == 'prompt,chosen\n"a, b",c\n'
