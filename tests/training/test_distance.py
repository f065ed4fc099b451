"""Both sides of J(π*) − J(π) = β KL(π ‖ π*), measured at the end of a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from align_core.config.model_size import distance_texts
from align_core.config.run_config import resolve
from align_core.evaluation.reference_samples import sample_reference
from align_core.models.sampling import Interrupted
from align_core.tasks import get_task
from align_core.trainers.common import Setup
from align_core.training import distance as measured
from align_core.training import probes
from tests import toy

BETA, TEXTS = 8.0, 16


@pytest.fixture
def setup(tmp_path, monkeypatch):
    """The set-up of a run of toy models on four prompts, with samples of its reference."""
    reference = toy.policy(5)
    config = resolve("dpo", "reviews", eval_prompts=4, beta=BETA)
    task = get_task("reviews")
    prompts = task.prompts("probe")[:4]
    stored = sample_reference(task, reference, toy.tokenizer(), prompts, 400, 0)
    monkeypatch.setattr(probes, "stored_samples", lambda *_: stored)
    return Setup(config, task, toy.tokenizer(), toy.policy(0), reference, None, None, None, {})


def test_the_sides_of_a_run_agree_and_some_prompts_make_up_most_of_them(setup):
    sides = measured.distance(setup, setup.model, BETA, TEXTS)
    assert (sides["beta"], sides["prompts"], sides["texts"]) == (BETA, 4, TEXTS)
    assert sides["gap"] > 0 and sides["gap_ci95"] > 0
    width = np.hypot(sides["gap_ci95"], sides["kl_ci95"])
    assert sides["gap"] == pytest.approx(sides["kl"], abs=width)
    assert 1 <= sides["count"] < 4 and 0 < sides["share"] < 1
    prompts = get_task("reviews").prompts("probe")[:4]
    assert len(sides["named"]) == min(sides["count"], 3) and {*sides["named"]} <= {*prompts}


def test_an_unknown_optimum_has_no_distance_and_a_stop_ends_the_measurement(setup, monkeypatch):
    stopped = replace(setup, interrupted=lambda: True)
    with pytest.raises(Interrupted):
        measured.distance(stopped, setup.model, BETA, TEXTS)
    few = measured.distance(stopped, setup.model, 0.01, TEXTS)
    assert few is None, "too few effective samples, so nothing is sampled, which would be stopped"
    monkeypatch.setattr(probes, "stored_samples", lambda *_: None)
    assert measured.distance(setup, setup.model, BETA, TEXTS) is None


def test_its_texts_are_a_third_of_those_of_the_evaluations():
    """Both sides of 64 prompts: 11 evaluations of four texts each have room for 2 · 7."""
    config = resolve("dpo", "reviews").model_dump() | {"steps": 100, "eval_every": 10}
    assert (config["eval_samples"], distance_texts(config)) == (4, 7)
    assert distance_texts(config | {"steps": 500}) == 8, "at most"
    assert distance_texts(config | {"steps": 5}) == 0, "two evaluations are too few"
    assert distance_texts(config | {"steps": 11}) == 2
    assert distance_texts(config | {"beta": 0.0}) == distance_texts(config | {"beta": None}) == 0
