"""The probe of a machine's speed, with steps of a scripted length."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from align_core.training import machine_probe


@pytest.mark.parametrize(
    "steps, shortest",
    [
        ([0.5, 0.2, 0.3], 0.2),  # 0.6 s are over after two, but the first one takes longer
        ([0.3, 0.1, 0.15, 0.1, 0.05], 0.1),  # 0.65 s are over after four
    ],
)
def test_the_shortest_of_at_least_three_steps_counts_in_processor_time(
    monkeypatch, steps, shortest
):
    ends = [sum(steps[: place + 1]) for place in range(len(steps))]
    times = iter(
        [time for end, step in zip(ends, steps, strict=True) for time in (end - step, end)]
    )
    clock = SimpleNamespace(process_time=lambda: next(times))
    monkeypatch.setattr(machine_probe, "time", clock)
    small = {"vocab_size": 8, "hidden_size": 4, "intermediate_size": 4}
    monkeypatch.setattr(machine_probe, "_MODEL", {**machine_probe._MODEL, **small})
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    set_to = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    assert machine_probe.probe_seconds() == pytest.approx(shortest)
    assert set_to == [1, 2], "other work of the process has its threads again"
