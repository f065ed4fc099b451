"""The evaluation of the benchmark from the last vote to changed outputs."""

from __future__ import annotations

import pytest

from benchmarks import vote_to_outputs as benchmark


def results(**slow):
    """Results of three sessions for each method and task; one of them has the times `slow`."""
    dpo = {"saved": 0.1, "live": 4.0, "shown": 12.0, "training": 9.0, "learnt": 150, "changed": 1.0}
    reward = {"saved": 0.1, "shown": 6.0, "training": 4.0, "learnt": 150}
    results_by_name = {f"{name} {task}": [dict(dpo if name == "dpo" else reward) for _ in range(3)]
             for name in benchmark.METHODS for task in benchmark.TASKS}  # fmt: skip
    results_by_name["dpo capitals"][1] |= slow
    return {"machine": "M", "votes": 200, **results_by_name}


def rows(results_by_name):
    return benchmark.render(results_by_name).splitlines()[-4:]


def test_each_method_and_task_has_its_row():
    assert rows(results()) == [
        "| DPO | reviews | 150 (150–150) | 4.0 (4.0–4.0) | 12.0 (12.0–12.0) | 9.0 (9.0–9.0) "
        "| 1.00 (1.00–1.00) |",
        "| DPO | capitals | 150 (150–150) | 4.0 (4.0–4.0) | 12.0 (12.0–12.0) | 9.0 (9.0–9.0) "
        "| 1.00 (1.00–1.00) |",
        "| reward model | reviews | 150 (150–150) | – | 6.0 (6.0–6.0) | 4.0 (4.0–4.0) | – |",
        "| reward model | capitals | 150 (150–150) | – | 6.0 (6.0–6.0) | 4.0 (4.0–4.0) | – |",
    ]


@pytest.mark.parametrize("slow", [{"shown": 30.1}, {"changed": 0.0}])
def test_a_late_or_unchanged_session_is_marked(slow):
    assert "✗" not in rows(results(shown=30.0, changed=0.25))[1]
    marked = rows(results(**slow))
    assert marked[1].count("✗") == 1
    assert not any("✗" in row for row in (marked[0], *marked[2:]))


def test_texts_are_shown_in_pairs_before_and_after():
    assert benchmark._changed(["a", "b", "c", "c", "d", "e", "f", "f"]) == {"changed": 0.5}
    assert benchmark._changed([]) == {}
