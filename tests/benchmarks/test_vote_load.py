"""The evaluation of the vote-load benchmark."""

from __future__ import annotations

import pytest

from benchmarks import vote_load


def test_a_lost_vote_and_a_slow_answer_are_marked():
    fast = {"p50": 20.0, "p95": 90.0, "p99": 200.0, "max": 300.0}
    good = {"answered": 100, "kept": 101, "refused": {}, "cast": fast, "join": fast}
    good |= {"memory": [200.0, 201.0], "trained_on": True}
    bad = good | {"kept": 98, "cast": fast | {"p95": 501.0}, "refused": {"429": 2, "503": 1}}
    results = {"machine": "M", "phones": 500, "seconds": 60.0, "idle": good, "ppo": bad}
    idle, ppo = vote_load.render(results).splitlines()[-2:]
    # An unacknowledged vote may be stored; an acknowledged one that is not stored is lost.
    assert idle == "| no run | 100 | 0 | 0 | 20 | 90 | 200 | 90 | 200 → 201 |"
    assert ppo == "| PPO runs | 100 | **2 ✗** | 3 | 20 | **501 ✗** | 200 | 90 | 200 → 201 |"


def test_quantiles_of_known_values():
    quantiles = vote_load.quantiles([float(value) for value in range(101)])
    assert quantiles == pytest.approx({"p50": 50, "p95": 95, "p99": 99, "max": 100})
