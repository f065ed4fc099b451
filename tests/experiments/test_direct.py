"""Over-optimisation of DPO and its kin: peaks, falls, and the verdicts on them."""

from __future__ import annotations

import numpy as np
import pytest

from align_core.experiments import direct
from align_core.optimum import Frontier
from tests.experiments.verdicts import mean, verdict_of

REWARDS = np.random.default_rng(0).normal(size=(4, 4000))


def run(points, seed, loss="ipo", beta=0.1):
    return {
        "settings": {"loss": loss, "beta": beta, "seed": seed},
        "measured": {"points": points},
    }


def test_a_row_has_the_peak_and_the_end_of_its_curves(monkeypatch):
    """Seed 0 peaks at 0.8 above the reference, at a KL of 1, and ends at 0.2: it loses 3/4. Seed 1
    peaks at 0.4 and ends at 0.3: it loses 1/4."""
    stored = type("Stored", (), {"rewards": REWARDS})
    monkeypatch.setattr(direct.ReferenceSamples, "load", lambda path: stored)
    first = [[0.0, 1.0, 0.0], [1.0, 1.8, 0.5], [4.0, 1.2, 1.0]]
    second = [[-1e-9, 2.0, 0.0], [0.25, 2.4, 1.0], [1.0, 2.3, 1.5]]
    found = direct.summary([run(second, 1), run(first, 0), run(first, 0, "sigmoid", 1.0)])
    assert [(row["loss"], row["beta"]) for row in found["rows"]] == [("sigmoid", 1.0), ("ipo", 0.1)]
    row, start = found["rows"][1], REWARDS.mean()
    expected = {"peak": 0.6, "peak_d": 0.75, "epoch": 0.75, "end": 0.25, "end_d": 1.5, "lost": 0.5}
    assert {name: row[name]["mean"] for name in expected} == pytest.approx(expected)
    frontier = Frontier.of(REWARDS)
    shares = [gold / (frontier.at(kl)[0] - start) for gold, kl in ((0.8, 1.0), (0.4, 0.25))]
    assert row["share"]["mean"] == pytest.approx(np.mean(shares))
    assert found["optimum"][0] == pytest.approx([0, 0]) and found["seeds"] == 2
    assert all(samples >= 100 for samples in [frontier.at(d**2)[1] for d, _ in found["optimum"]])


def test_a_run_that_never_gains_has_lost_nothing(monkeypatch):
    stored = type("Stored", (), {"rewards": REWARDS})
    monkeypatch.setattr(direct.ReferenceSamples, "load", lambda path: stored)
    found = direct.summary([run([[0.0, 1.0, 0.0], [2.0, 0.5, 1.0]], seed) for seed in range(2)])
    (row,) = found["rows"]
    assert row["lost"] is None and row["peak"]["mean"] == 0
    assert direct.comparisons(found)["falls"] == [-1]


def result(*rows):
    """Rows of (loss, β, lost, epoch of the peak, R² of the fit), each ± 0.1."""
    names = ("peak", "peak_d", "share", "end", "end_d")
    return {
        "rows": [
            {
                "loss": loss,
                "beta": beta,
                "lost": mean(lost),
                "epoch": mean(epoch),
                "fit": {"r2": mean(r2)},
                **{name: mean(0.5) for name in names},
                "curves": [[[0.0, 0.0, 0.0], [1.0, 0.5, 1.0]]],
            }
            for loss, beta, lost, epoch, r2 in rows
        ],
        "optimum": [[0.0, 0.0], [1.0, 1.0]],
    }


WIDE = [(loss, 0.03, 0.9, 0.5, 0.99) for loss in direct.LOSSES]
NARROW = [(loss, 1.0, 0.0, 2.5, 0.5) for loss in direct.LOSSES]


@pytest.mark.parametrize(
    "rows, verdicts",
    [
        (WIDE, ("holds", "holds", "holds", "unclear")),
        (WIDE + NARROW, ("holds", "unclear", "holds", "unclear")),
        (NARROW, ("fails", "fails", "unclear", "fails")),
        # One loss that does not clearly fall at the widest budget; peaks after the first epoch.
        (
            [("sigmoid", 0.03, 0.3, 0.5, 0.5), *(row[:3] + (2.0, 1.2) for row in WIDE[1:])],
            ("unclear", "holds", "fails", "holds"),
        ),
    ],
)
def test_each_part_of_the_claim_has_its_rule(rows, verdicts):
    found = result(*rows)
    parts = ("wide", "budgets", "early", "law")
    assert tuple(verdict_of(direct, found, part)[0] for part in parts) == verdicts


def test_a_panel_has_a_line_for_each_seed_of_a_loss():
    words = {"optimum": "limit", "above": "nats"}
    words["direct"] = {"title": "{loss}", "beta": "β = {beta}"}
    found = result(*WIDE, *NARROW)
    panels = direct.panels(found, words)
    assert [panel["title"] for panel in panels] == ["DPO", "IPO", "SLiC"]
    assert [curve["name"] for curve in panels[1]["curves"]] == ["limit", "β = 0.03", "β = 1"]
    assert panels[1]["curves"][1]["y"] == [0.0, 0.5]
    (table, _) = direct.report(found)
    assert [row[:2] for row in table.rows][:2] == [["DPO", "0.03"], ["IPO", "0.03"]]
