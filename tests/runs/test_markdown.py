"""Results and texts of a run in Markdown."""

from __future__ import annotations

from align_core.runs import markdown


def test_the_last_value_has_the_interval_of_its_own_step():
    def row(interval):
        points = {"eval/kl": [(0, 0.0), (40, 1.25)], "eval/kl_ci95": interval}
        return markdown.results(40, points).splitlines()[-1]

    assert row([(0, 0.0), (40, 0.5)]).endswith("| 1.250 ± 0.500 |")
    assert row([(0, 0.0), (40, None)]).endswith("| 1.250 |")
    assert row([(0, 0.5)]).endswith("| 1.250 |"), "the interval of another step"


def test_a_long_text_is_cut_to_a_hundred_characters():
    assert markdown.escaped("a" * 100) == "a" * 100
    assert markdown.escaped("a" * 101) == "a" * 99 + "…"
