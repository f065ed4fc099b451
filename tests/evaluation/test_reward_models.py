"""The report on a reward model, from stored samples whose rewards and scores are made by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from align_core.config.errors import ConfigError
from align_core.evaluation import reward_models as module
from align_core.evaluation.intervals import bootstrap_rows, ci95_of_mean
from align_core.evaluation.pair_accuracy import rater_scale
from align_core.evaluation.reward_models import evaluate_reward_model
from align_core.optimum import ReferenceSamples
from tests import toy

TASK = SimpleNamespace(full_name="films")
TEXTS = 16  # of each prompt: eight pairs, the second text of each a nat better


def stored() -> ReferenceSamples:
    """Two prompts; the id of the only token of a text is 20·prompt + sample."""
    ids = np.arange(2)[:, None] * 20 + np.arange(TEXTS)
    ones = np.ones(ids.shape, np.uint8)
    rewards = np.tile(np.arange(TEXTS) % 2.0, (2, 1))
    return ReferenceSamples(["p0", "p1"], ids[..., None].astype(np.uint16), ones, ones > 0, rewards)


def score(prompts, completions, completion_ids):
    """Right by 2 nats for each pair of the first prompt; for half of those of the second, and wrong
    by 1 nat for the others."""
    rows = [divmod(ids[0], 20) for ids in completion_ids]
    assert prompts == [f"p{prompt}" for prompt, _ in rows]
    return [
        2.0 * (n % 2) if prompt == 0 or n // 2 % 2 == 0 else -1.0 * (n % 2) for prompt, n in rows
    ]


@pytest.fixture
def samples(monkeypatch):
    """The stored samples by (task, model, split), of which a test may take some away."""
    known = {("films", "reference", "heldout"): stored()}
    monkeypatch.setattr(module, "stored_samples", lambda *of: known.get(of))
    references = {("scorer", "films"): "reference"}
    monkeypatch.setattr(module, "reference_of", lambda *of: references.get(of))
    monkeypatch.setattr(module, "load_tokenizer", lambda name: (name, toy.tokenizer())[1])
    monkeypatch.setattr(module, "load_reward_model", lambda name: name)
    monkeypatch.setattr(module, "ProxyReward", lambda model, own, writer: score)
    monkeypatch.setattr(module, "model_inputs", lambda writer, task, prompts: prompts)
    return known


def test_accuracy_and_margin_are_means_over_prompts_with_intervals_over_these(samples):
    subsets = {"covered": ["p1"], "uncovered": [], "others": ["not stored"]}
    report = evaluate_reward_model("scorer", TASK, ["p0", "p1", "not stored"], subsets)
    draws = bootstrap_rows(2)
    right, margin = np.array([1.0, 0.5]), np.array([2.0, 0.5])  # (4 · 2 − 4 · 1) / 8
    margins = np.array([2.0] * 8 + [2.0, -1.0] * 4)
    assert report.pop("scale") == pytest.approx(rater_scale(margins, np.ones(16)), abs=1e-6)
    assert report.pop("scale_ci95") > 0
    assert report == {
        "task": "films",
        "prompts": 2,
        "accuracy": 0.75,
        "accuracy_ci95": ci95_of_mean(draws, right),
        "margin": 1.25,
        "margin_ci95": ci95_of_mean(draws, margin),
        "accuracy_covered": 0.5,
        "accuracy_covered_ci95": 0.0,
        "margin_covered": 0.5,
        "margin_covered_ci95": 0.0,
        "accuracy_others": None,
        "accuracy_others_ci95": None,
        "margin_others": None,
        "margin_others_ci95": None,
    }
    assert report["accuracy_ci95"] > 0


def test_without_stored_samples_nothing_is_measured(samples):
    line = "MODEL got '{}', expected a policy: this task has no stored samples to evaluate a reward"
    for model, prompts in (("another", ["p0"]), ("scorer", ["not stored"])):
        with pytest.raises(ConfigError, match=line.format(model)):
            evaluate_reward_model(model, TASK, prompts, {})
    samples.clear()
    with pytest.raises(ConfigError, match=line.format("scorer")):
        evaluate_reward_model("scorer", TASK, ["p0"], {})


def test_prompts_without_enough_pairs_have_no_scale(samples):
    samples["films", "reference", "heldout"].rewards[:] = 1.0
    report = evaluate_reward_model("scorer", TASK, ["p0", "p1"], {})
    assert report == {"task": "films", "prompts": 2} | dict.fromkeys(
        ("accuracy", "accuracy_ci95", "margin", "margin_ci95", "scale", "scale_ci95")
    )
