"""The preference pairs that runs are trained on."""

from __future__ import annotations

import math
import re

import pytest

from align_core.models.loading import save_model
from align_core.models.sampled_pairs import sampled_pairs
from align_core.training import setup
from tests import toy
from tests.training.films import Films, Run, finished


def test_a_run_from_another_model_samples_its_pairs_first(tmp_path):
    save_model(toy.policy(5), toy.tokenizer(), tmp_path / "own")
    run = finished(
        tmp_path / "run", "dpo", model=str(tmp_path / "own"), preference_pairs=200, steps=2
    )
    statuses = [event for event in run.of("status") if "pairs" in event["message"]]
    assert len(statuses) > 1
    assert all(event["status"] == "running" and event["step"] == 0 for event in statuses)
    counts = [int(re.search(r"(\d+) of 200", event["message"])[1]) for event in statuses]
    assert counts == sorted(counts) and counts[-1] == 200
    assert run.metric("loss")[1] == pytest.approx(math.log(2), abs=1e-5)
    assert set(run.metric("eval/frontier_efficiency").values()) == {None}
    assert None not in run.metric("eval/proxy_reward").values(), "it shares the vocabulary"


def trained_on(monkeypatch, path, method: str, **changes) -> tuple[Run, list[dict]]:
    """A run, and the pairs that it was trained on."""
    seen: list[dict] = []
    encode_pairs = setup.encode_pairs

    def encode(tokenizer, pairs):
        seen.extend(pairs)
        return encode_pairs(tokenizer, pairs)

    monkeypatch.setattr(setup, "encode_pairs", encode)
    return finished(path, method, steps=2, **changes), seen


@pytest.mark.parametrize("method", ["reward", "dpo"])
def test_preferences_are_on_covered_groups(tmp_path, monkeypatch, plain, method):
    run, pairs = trained_on(
        monkeypatch, tmp_path / "run", method, coverage="story", preference_pairs=16
    )
    assert {pair["prompt"] for pair in pairs} == {"a plot", "the plot was never"}
    metric = "margin" if method == "reward" else "gold_reward"
    both = [run.metric(f"eval/{metric}_{side}") for side in ("covered", "uncovered")]
    whole = run.metric(f"eval/{metric}")
    for step in (0, 2):  # one probe prompt is covered, one is not
        assert sum(run[step] for run in both) / 2 == pytest.approx(whole[step])
        assert both[0][step] != both[1][step]
    assert not [name for name in run_metrics(plain(method)) if "covered" in name]


def run_metrics(run: Run) -> set[str]:
    return {name for event in run.of("metrics") for name in event["metrics"]}


def test_missing_pairs_of_a_group_are_sampled(tmp_path, monkeypatch):
    run, pairs = trained_on(
        monkeypatch, tmp_path / "run", "dpo", coverage="story", preference_pairs=150
    )
    assert run.of("status")[1]["message"].startswith("Sampling preference pairs: ")
    assert len(pairs) == 150 and "the film" not in {pair["prompt"] for pair in pairs}


def test_pairs_can_be_from_another_model_than_the_reference(tmp_path, monkeypatch, plain):
    run, pairs = trained_on(monkeypatch, tmp_path / "run", "dpo", pair_source="pretrained")
    expected = sampled_pairs(toy.policy(1), toy.tokenizer(), Films(), 64, seed=0)
    assert pairs == expected
    assert run.metric("eval/gold_reward")[0] == plain("dpo").metric("eval/gold_reward")[0]
    assert run.metric("loss")[1] == pytest.approx(math.log(2), abs=1e-5)


def test_ppo_separates_the_prompts_that_its_reward_model_covers(tmp_path):
    judge = finished(tmp_path / "judge", "reward", coverage="film", preference_pairs=16, steps=1)
    run = finished(tmp_path / "run", "ppo", reward_model=str(judge.path), steps=1)
    assert {"eval/kl_covered", "eval/kl_uncovered"} <= run_metrics(run)


def test_pairs_of_a_file_are_used(tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prompt": "the film", "chosen": " was good", "rejected": " was bad"}\n' * 16)
    run = finished(tmp_path / "run", "dpo", preferences=str(file), preference_pairs=None, steps=12)
    assert run.metric("rewards/accuracies")[12] == 1.0
    assert run.metric("rewards/margins")[12] > 0.1


@pytest.mark.parametrize("lora_r", [0, 4])
def test_a_run_of_chi_po_begins_at_its_reference_and_prefers_the_chosen_texts(tmp_path, lora_r):
    settings = {"loss": "chipo", "steps": 8, "eval_every": 8, "learning_rate": 1e-2}
    run = finished(tmp_path / "run", "dpo", lora_r=lora_r, **settings)
    assert run.metric("loss")[1] == pytest.approx(math.log(2), abs=1e-4)
    margins = run.metric("rewards/margins")
    assert margins[1] == pytest.approx(0, abs=1e-4) and margins[8] > 0.05
    assert run.metric("eval/kl")[0] == 0 < run.metric("eval/kl")[8]
