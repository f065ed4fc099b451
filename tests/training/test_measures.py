"""The evaluation of a reward model during a run, alone and shared between processes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from align_core.config.run_config import resolve
from align_core.evaluation.pair_accuracy import pair_accuracy
from align_core.evaluation.reference_samples import sample_reference
from align_core.models import distributed
from align_core.models.rewards import ProxyReward
from align_core.tasks import get_task
from align_core.trainers.common import Setup
from align_core.training import measures
from tests import toy

PROMPTS = 5


@pytest.fixture
def stored(monkeypatch):
    task = get_task("reviews")
    prompts = task.prompts("probe")[:PROMPTS]
    samples = sample_reference(task, toy.policy(5), toy.tokenizer(), prompts, 64, 0)
    monkeypatch.setattr(measures, "stored_samples", lambda *_: samples)
    monkeypatch.setattr(measures, "load_tokenizer", lambda name: toy.tokenizer())
    return samples


@pytest.fixture
def measure(stored):
    config = resolve("reward", "reviews", eval_prompts=PROMPTS, coverage="film")
    model, tokenizer = toy.reward_model(), toy.tokenizer()
    setup = Setup(config, get_task("reviews"), tokenizer, model, None, None, None, None, {})
    control = SimpleNamespace(should_training_stop=True)
    return measures.RewardModelMeasure(setup, SimpleNamespace(model=model, control=control))


def test_accuracy_and_margin_are_means_over_the_pairs_of_all_prompts(measure, stored):
    metrics = measure()["metrics"]
    proxy = ProxyReward(measure.model, toy.tokenizer(), toy.tokenizer())
    accuracy, margin, _ = pair_accuracy(proxy, toy.tokenizer(), stored)
    assert len(accuracy) == PROMPTS
    assert metrics["eval/accuracy"] == pytest.approx(accuracy.mean().item(), abs=1e-6)
    assert metrics["eval/margin"] == pytest.approx(margin.mean().item(), abs=1e-6)
    assert metrics["eval/accuracy_ci95"] > 0 < metrics["eval/margin_ci95"]
    assert {"eval/accuracy_covered", "eval/margin_uncovered"} <= metrics.keys()


def test_processes_that_share_the_pairs_have_the_numbers_of_one(measure, monkeypatch):
    alone, shares = measure()["metrics"], []

    def in_shares(count, work):
        shares.append((range(count // 2), range(count // 2, count)))
        return [work(share) for share in shares[-1]]

    monkeypatch.setattr(distributed, "in_shares", in_shares)
    assert measure()["metrics"] == pytest.approx(alone, abs=1e-6, nan_ok=False)
    assert shares[0] == (range(2), range(2, PROMPTS)) and len(shares) == 3, "two subsets, too"
