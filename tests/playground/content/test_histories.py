"""Histories of a run's settings."""

from __future__ import annotations

from align_core.config.run_config import RunConfig, resolve
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground.content import histories
from playground.content.histories import history

RUN = "2026-01-02-030405-ppo-reviews"


def change(step, **settings):
    return {"kind": "change", "step": step, "seconds": 1.0, "settings": settings}


def test_a_history_has_every_setting_and_its_changes():
    config = resolve("ppo", "reviews", beta=0.7).model_dump()
    metrics = {"kind": "metrics", "step": 4, "seconds": 1.0, "metrics": {"eval/kl": 0.5}}
    changes = [change(4, beta=0.3, unknown=1), change(9, beta=0.3), change(9, learning_rate=0.1)]
    histories = history(config, [metrics, *changes])
    assert histories["beta"] == [[0, 0.7], [4, 0.3]]
    assert histories["learning_rate"] == [[0, config["learning_rate"]], [9, 0.1]]
    assert histories["seed"] == [[0, 0]]
    assert set(histories) == set(RunConfig.model_fields)


def test_a_value_without_a_step_is_left_out():
    config = resolve("ppo", "reviews", beta=0.7).model_dump()
    dragged = [change(4, beta=0.6), change(4, beta=0.5), change(9, beta=0.2), change(9, beta=0.5)]
    assert history(config, dragged)["beta"] == [[0, 0.7], [4, 0.5]]
    assert history(config, [change(0, beta=0.1)])["beta"] == [[0, 0.1]]


def test_changes_voided_by_a_resume_are_dropped():
    config = resolve("ppo", "reviews", beta=0.7).model_dump()
    events = [change(4, beta=0.3), {"kind": "resume", "step": 2, "seconds": 1.0}]
    assert history(config, events)["beta"] == [[0, 0.7]]
    assert history(config, [*events, change(3, beta=0.2)])["beta"] == [[0, 0.7], [3, 0.2]]


def test_only_new_lines_of_a_log_are_read(tmp_path):
    client = Client(tmp_path)
    run = RunDirectory.create(tmp_path / RUN, resolve("ppo", "reviews", beta=0.7))
    assert histories.run_history(client, RUN)["beta"] == [[0, 0.7]]
    run.append(change(4, beta=0.3))
    assert histories.run_history(client, RUN)["beta"] == [[0, 0.7], [4, 0.3]]
    run.close()
