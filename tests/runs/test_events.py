"""Series, status and settings computed from the events of a run."""

from __future__ import annotations

import pytest

from align_core.config.run_config import resolve
from align_core.runs.events import of_kind, replay, series, settings_at, status

RUNNING = {"kind": "status", "step": 0, "seconds": 0.1, "status": "running", "message": ""}


def metrics(step, **values):
    return {"kind": "metrics", "step": step, "seconds": step / 2, "metrics": values}


def resume(step):
    return {"kind": "resume", "step": step, "seconds": 9.0}


def test_a_resume_voids_the_events_after_its_step():
    events = [{"kind": "metrics", "step": step, "run": 1} for step in (1, 2, 3, 4)]
    events.append(resume(2))
    events += [{"kind": "metrics", "step": 3, "run": 2}]
    kept = replay(events)
    assert [(event["kind"], event["step"]) for event in kept] == [
        ("metrics", 1),
        ("metrics", 2),
        ("resume", 2),
        ("metrics", 3),
    ]
    assert kept[-1]["run"] == 2


def test_settings_have_their_last_values_and_a_resume_voids_later_ones(fake_assets):
    def change(step, **settings):
        return {"kind": "change", "step": step, "seconds": 1.0, "settings": settings}

    begun = resolve("ppo", "reviews").model_dump()
    events = [RUNNING, change(2, beta=0.3), change(5, learning_rate=1e-4), change(8, beta=0.1)]
    assert settings_at(begun, [RUNNING]) == begun
    assert settings_at(begun, events) == begun | {"beta": 0.1, "learning_rate": 1e-4}
    assert settings_at(begun, [*events, resume(2)]) == begun | {"beta": 0.3}


def test_series_leave_out_nulls_and_voided_values():
    events = [
        metrics(0, **{"eval/gain": 0.0, "eval/frontier_efficiency": None}),
        metrics(10, **{"eval/gain": 0.9}),
        resume(5),
        metrics(10, **{"eval/gain": 0.4}),
    ]
    assert series(events) == {"eval/gain": [(0, 0.0), (10, 0.4)]}


def test_a_resume_to_an_earlier_step_voids_a_later_resume():
    events = [metrics(step, loss=step) for step in (1, 2, 3)]
    events += [resume(2), metrics(3, loss=30), resume(1), metrics(2, loss=20)]
    assert series(events) == {"loss": [(1, 1), (2, 20)]}
    assert [event["step"] for event in of_kind(events, "resume")] == [1]


@pytest.mark.parametrize("cut", range(6))
def test_a_log_replayed_in_two_parts_is_the_log_replayed_whole(cut):
    events = [metrics(1), metrics(4), resume(2), metrics(3), resume(3), metrics(4)]
    assert replay([*replay(events[:cut]), *events[cut:]]) == replay(events)


def test_the_newest_status_counts_and_a_resumed_run_is_running():
    stopped = {**RUNNING, "step": 9, "status": "stopped", "message": "SIGINT"}
    assert status([metrics(1)]) is None
    assert status([RUNNING, stopped, metrics(9)]) == stopped
    resumed = status([RUNNING, stopped, resume(4)])
    assert (resumed["status"], resumed["message"], resumed["step"]) == ("running", "", 4)
