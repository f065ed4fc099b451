"""Both sides of J(π*) − J(π) = β KL(π ‖ π*), measured for a run."""

from __future__ import annotations

import numpy as np
import pytest

from align_core.config.errors import ConfigError
from align_core.config.run_config import resolve
from align_core.evaluation.reference_samples import sample_reference
from align_core.inference import distances
from align_core.models import loading
from align_core.runs.directory import RunDirectory
from align_core.tasks import get_task
from tests import toy


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of toy models on four prompts, with samples of its reference."""
    reference = toy.policy(5)
    loading.save_model(reference, toy.tokenizer(), tmp_path / "reference")
    config = resolve("dpo", "reviews", model=str(tmp_path / "reference"), eval_prompts=4, beta=8)
    directory = RunDirectory.create(tmp_path / "run", config)
    loading.save_model(toy.policy(0), toy.tokenizer(), directory.model_path)
    task = get_task("reviews")
    prompts = task.prompts("probe")[:4]
    stored = sample_reference(task, reference, toy.tokenizer(), prompts, 400, 0)
    monkeypatch.setattr(distances, "stored_samples", lambda *_: stored)
    return str(tmp_path / "run")


def test_the_sides_of_a_run_agree_and_some_prompts_make_up_most_of_them(run):
    sides = distances.distance("reviews", run)
    assert (sides["beta"], sides["prompts"]) == (8, 4)
    assert sides["gap"] > 0 and sides["gap_ci95"] > 0
    width = np.hypot(sides["gap_ci95"], sides["kl_ci95"])
    assert sides["gap"] == pytest.approx(sides["kl"], abs=width)
    assert 1 <= sides["count"] < 4 and 0 < sides["share"] < 1
    probes = get_task("reviews").prompts("probe")[:4]
    assert len(sides["named"]) == min(sides["count"], 3) and {*sides["named"]} <= {*probes}


def test_a_run_without_a_known_optimum_is_refused(run, monkeypatch):
    monkeypatch.setattr(distances, "stored_samples", lambda *_: None)
    with pytest.raises(ConfigError, match="a run whose optimum at its β is known"):
        distances.distance("reviews", run)
