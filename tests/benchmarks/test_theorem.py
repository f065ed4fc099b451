"""The table of the distance to the optimum, from made-up measurements."""

from __future__ import annotations

import pytest

from benchmarks import theorem


def measured(gap, kl, method="ppo", **changes):
    """At β = 2, with half-widths of 0.06 for the gap and 2 · 0.04 for the KL: 0.1 in all."""
    sides = {"optimum_gap": gap, "optimum_gap_ci95": 0.06, "optimum_kl": kl}
    sides |= {"optimum_kl_ci95": 0.04, "beta": 2.0, "texts": 2048, "method": method}
    return sides | changes


def test_the_interval_is_that_of_the_difference_of_both_sides():
    for gap, holds in ((0.89, False), (0.91, True), (1.09, True), (1.11, False)):
        result = measured(gap, 0.5)
        assert theorem.half_width(result) == pytest.approx(0.1, abs=1e-12)
        assert theorem.apart(result) == pytest.approx(gap - 2 * 0.5, abs=1e-12)
        assert theorem.within(result) == holds


def test_the_table_says_how_many_texts_would_be_enough():
    unknown = measured(None, None, optimum_gap_ci95=None)
    results = {"a": measured(1.05, 0.5), "b": measured(1.15, 0.5, "sft"), "c": unknown}
    text = theorem.render(results)
    # (0.1 / 0.05)² = 4 times as many texts.
    assert "is 0.100 nats, above the 0.05 asked for, for which about 8,200 texts a side" in text
    assert "1 of 3 runs have too few effective samples." in text
    rows = text.splitlines()[-3:]
    assert rows[0] == "| ppo | 1 | 1.050 (1.05–1.05) | 1.000 (1.00–1.00) | +0.98 ± 0.00 | 1 of 1 |"
    assert rows[1].startswith("| sft | 1 |") and rows[1].endswith("| +2.94 ± 0.00 | 0 of 1 |")
    assert rows[2].startswith("| **all** | 2 | 1.100 (1.05–1.15) |")
    assert rows[2].endswith("| +1.96 ± 1.39 | 1 of 2 |")
