"""Measured mixtures of a run's policy and its reference."""

from __future__ import annotations

import pytest

from align_core.config.run_config import resolve
from align_core.inference.mixtures import mixture
from align_core.models import loading
from align_core.runs.directory import RunDirectory
from tests import toy


@pytest.fixture
def run(tmp_path):
    """A run of toy models, measured on 6 texts."""
    loading.save_model(toy.policy(5), toy.tokenizer(), tmp_path / "reference")
    size = {"eval_prompts": 3, "eval_samples": 2}
    config = resolve("dpo", "reviews", model=str(tmp_path / "reference"), **size)
    directory = RunDirectory.create(tmp_path / "run", config)
    loading.save_model(toy.policy(0), toy.tokenizer(), directory.model_path)
    return str(tmp_path / "run")


def test_mixtures_range_from_the_reference_to_beyond_the_policy(run):
    reference, half, policy, beyond = (mixture("reviews", run, share) for share in (0, 0.5, 1, 2))
    assert reference["kl"] == 0 < half["kl"] < policy["kl"] < beyond["kl"]
    assert all(row["policy"]["text"] == row["reference"]["text"] for row in reference["samples"])
    assert len(policy["samples"]) == 3 and policy["samples"] != half["samples"]
    assert policy["gain"] is None, "the reference has no stored samples"
