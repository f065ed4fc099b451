"""The scale of a task's reward: of the model's run, prepared for the reference, or measured."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from align_core.evaluation import task_in_nats as module
from align_core.evaluation.task_in_nats import task_in_nats


@pytest.fixture
def scales(monkeypatch):
    """What is known: ("run", name, model), ("prepared" or "measured", name, reference) -> scale."""
    known, task = {}, SimpleNamespace(reward_std=2.0, scaled=lambda scale: f"by {scale}")
    tasks = {"odes": task, "nats": SimpleNamespace(reward_std=None)}
    monkeypatch.setattr(module, "get_task", tasks.get)
    monkeypatch.setattr(module, "reference_of", lambda *of: {("model", "odes"): "started"}.get(of))
    for function, how in (
        ("_scale_of_run", "run"),
        ("stored_scale", "prepared"),
        ("_measured_scale", "measured"),
    ):
        monkeypatch.setattr(module, function, lambda *of, how=how: known.get((how, *of)))
    return known


def test_the_scale_of_the_run_comes_before_one_that_was_prepared_or_is_measured(scales):
    scales["measured", "odes", "started"] = 3.0
    assert task_in_nats("odes", "model") == ("by 3.0", 3.0)
    scales["prepared", "odes", "started"] = 2.0
    assert task_in_nats("odes", "model") == ("by 2.0", 2.0)
    scales["run", "odes", "model"] = 1.0
    assert task_in_nats("odes", "model") == ("by 1.0", 1.0)


def test_a_given_reference_comes_first_and_a_model_without_one_is_its_own(scales):
    scales |= {("prepared", "odes", name): n for n, name in enumerate(("given", "alone"), 1)}
    assert task_in_nats("odes", "model", "given") == ("by 1", 1)
    assert task_in_nats("odes", "alone") == ("by 2", 2)


def test_a_task_in_nats_has_no_scale(scales):
    task, scale = task_in_nats("nats", "model")
    assert task.reward_std is None and scale is None


def test_the_scale_of_a_run_is_that_of_its_own_task(monkeypatch):
    run = SimpleNamespace(reward_scale=1.5, config=SimpleNamespace(task="odes"))
    monkeypatch.setattr(module, "RunDirectory", SimpleNamespace(open=lambda path: run))
    monkeypatch.setattr(module, "run_of", {"model": "path"}.get)
    of = [module._scale_of_run(*each) for each in (("odes", "model"), ("films", "model"))]
    assert of == [1.5, None] and module._scale_of_run("odes", "another") is None
