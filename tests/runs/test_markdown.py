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


def test_only_values_of_the_last_evaluation_are_shown():
    points = {
        "eval/kl": [(0, 0.0), (20, 1.0), (40, 1.25)],
        "eval/kl_ci95": [(0, 0.0), (20, 0.1), (40, 0.5)],
        "eval/gain": [(0, 0.0), (20, 0.75)],
        "loss": [(40, 9.0)],
    }
    head, _, about, _, *rows = markdown.results(60, points).splitlines()
    assert head == "## Results" and about.startswith("At step 40 of 60, on the probe prompts")
    assert rows[2:] == ["| KL from the reference, nats | 1.250 ± 0.500 |"]
    assert markdown.results(60, {"loss": [(40, 9.0)]}).endswith("The run was not evaluated.")
