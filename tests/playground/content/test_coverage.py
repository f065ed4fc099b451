"""The Lab view's coverage experiment, trained on request."""

from __future__ import annotations

import numpy as np
import pytest

from align_core.experiments import tabular
from playground import text
from playground.content import coverage

WORDS = text.load("en")["lab"]["live"]
ASKED = {"beta": 0.5, "seed": 0, "certain": False, "covered": None, "responses": 4}


def test_it_returns_the_outcome_of_the_experiment():
    answer = coverage.train(ASKED, WORDS)
    expected = tabular.train(tabular.random_coverage(4, 0), 0.5, 0)
    outcome = answer["outcome"]
    assert answer["errors"] == []
    assert np.array_equal(outcome["covered"], expected.covered)
    assert outcome["pairs"] == 8 * 6  # 4 responses of each of 8 prompts: 4 · 3 / 2 pairs
    for name in coverage.MAPS:
        assert np.array(outcome["maps"][name]) == pytest.approx(getattr(expected, name), abs=5e-5)
    uncovered = (expected.dpo * ~expected.covered).sum(1).mean()
    assert outcome["numbers"]["dpo"]["uncovered"] == pytest.approx(uncovered)


def test_the_largest_gain_is_of_an_uncovered_response():
    outcome = coverage.train(ASKED, WORDS)["outcome"]
    before, after = (np.array(outcome["maps"][name]) for name in ("reference", "ppo"))
    rises = np.where(outcome["covered"], -1.0, after - before)
    most = outcome["rises"]["ppo"]
    assert rises[most["prompt"] - 1, most["response"] - 1] == rises.max() > 0
    assert most["after"] - most["before"] == pytest.approx(rises.max(), abs=1e-3)
    everything = ASKED | {"responses": 8}
    assert coverage.train(everything, WORDS)["outcome"]["rises"] == {"ppo": None, "dpo": None}


def test_the_optimum_has_the_best_objective_but_not_the_best_gold_reward():
    """At β = 0.5 with certain raters, DPO has more gold reward but a lower objective, as the legend
    says."""
    numbers = coverage.train(ASKED | {"certain": True, "responses": 8}, WORDS)["outcome"]["numbers"]
    trade = {name: values["gold"] - 0.5 * values["kl"] for name, values in numbers.items()}
    assert numbers["dpo"]["gold"] > numbers["optimum"]["gold"] + 0.1
    assert numbers["dpo"]["kl"] > numbers["optimum"]["kl"] + 0.1
    assert max(trade, key=trade.get) == "optimum"
    assert "gold − β·KL" in WORDS["legend"]


def test_without_a_pair_dpo_stays_at_the_reference():
    one_each = np.eye(8, dtype=bool).tolist()
    outcome = coverage.train(ASKED | {"covered": one_each}, WORDS)["outcome"]
    assert outcome["pairs"] == 0
    assert outcome["maps"]["dpo"] == outcome["maps"]["reference"]


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"beta": 0}, "β takes a number from 0.05 to 2.0; got 0"),
        ({"beta": float("nan")}, "β takes a number from 0.05 to 2.0; got nan"),
        ({"beta": True}, "β takes a number from 0.05 to 2.0; got True"),
        ({"seed": 1.5}, "Seed takes a whole number from 0 to 999; got 1.5"),
        ({"responses": 9}, "Covered responses takes a whole number from 0 to 8; got 9"),
        ({"covered": [[True] * 8] * 7}, "Coverage takes 8 rows of 8 times true or false; got [["),
        ({"covered": [[1] * 8] * 8}, "Coverage takes 8 rows of 8 times true or false; got [["),
        ({"covered": "x" * 9999}, "Coverage takes 8 rows of 8 times true or false; got 'xxx"),
    ],
)
def test_invalid_settings_are_refused_in_one_line(wrong, message):
    answer = coverage.train(ASKED | wrong, WORDS)
    assert answer["outcome"] is None
    (line,) = answer["errors"]
    assert line.startswith(message) and len(line) < 120


@pytest.mark.parametrize("settings", [None, "beta", [], 7, {}])
def test_malformed_settings_are_refused(settings):
    answer = coverage.train(settings, WORDS)
    assert answer["outcome"] is None
    assert len(answer["errors"]) == 4  # β, seed, raters and the number of covered responses
