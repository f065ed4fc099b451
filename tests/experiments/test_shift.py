"""The experiment on shifted pairs: its losses, its verdicts and its pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from align_core.experiments import shift, shift_methods
from align_core.experiments.claims import conclusions
from align_core.models.loading import load_tokenizer
from align_core.tasks import load_task


def run(source, method, seed, more):
    settings = {"source": source, "task": shift.SOURCES[source], "method": method, "seed": seed}
    if method == "reward":
        return {"settings": settings, "measured": {"accuracy": 0.8, "pairs": 10}}
    numbers = {"more": more, "kl": 1.0, "gain": more / 2, "efficiency": None}
    return {"settings": settings, "measured": numbers}


@pytest.fixture
def result():
    """A result in which DPO loses a nat on another model's texts, and PPO's loss is only noise."""
    runs = []
    for source in ("own", "pretrained"):
        for seed in range(3):
            for method in ("reward", *shift.METHODS):
                more = 2.0 + 0.1 * seed
                if (source, method) == ("pretrained", "dpo"):
                    more -= 1.0 + 0.01 * seed
                elif source == "pretrained":
                    more += (-0.1, 0.0, 0.1)[seed]
                runs.append(run(source, method, seed, more))
    return shift.summary(runs)


def test_losses_are_computed_by_seed(result):
    lost = shift.row(result, "pretrained", "dpo")["lost"]
    assert lost["mean"] == pytest.approx(1.01)
    assert lost["ci95"] == pytest.approx(4.303 * 0.01 / 3**0.5)
    assert "lost" not in shift.row(result, "own", "dpo")
    assert shift.row(result, "own", "reward")["accuracy"]["mean"] == pytest.approx(0.8)


def test_the_verdict_names_the_method_that_suffers(result):
    lines = conclusions(shift, result)
    assert "texts of the pretrained model: PPO 2.10 ± 0.50" in lines[-2]
    assert lines[-1] == "With this shift, DPO clearly loses, PPO neither clearly loses nor gains."


def pairs_of(source):
    sizes = {**shift.FULL, "pairs": 50}
    setting = shift_methods.Setting(
        Path(), source, shift.SOURCES[source], 0, **sizes, beta=0.5, covered=shift.COVERED
    )
    return shift_methods.pairs_of(setting)


def test_half_of_the_continents_are_covered():
    task = load_task("capitals")
    pairs = pairs_of("half")
    assert {task.group(pair["prompt"]) for pair in pairs} == set(shift.COVERED)
    everywhere = pairs_of("own-capitals")
    assert {task.group(pair["prompt"]) for pair in everywhere} > set(shift.COVERED)


def test_case_does_not_change_a_reward():
    plain = pairs_of("own")
    shouted = pairs_of("shouted")
    assert len(shouted) == 50
    assert [pair["prompt"] for pair in shouted] == [pair["prompt"] for pair in plain]
    assert all("." not in pair["chosen"] + pair["rejected"] for pair in shouted)
    # In capitals, a text has almost the same gold reward.
    for side in ("chosen", "rejected"):
        rewards = load_task("reviews").reward(
            [pair["prompt"] for pair in shouted], [pair[side] for pair in shouted]
        )
        plain_rewards = [pair[f"{side}_reward"] for pair in plain]
        assert sum(map(abs, map(float.__sub__, rewards, plain_rewards))) / 50 < 0.1


def test_a_reward_model_labels_like_raters_with_its_reward():
    def length_batches(prompts, completions, *, completion_ids):
        return [float(10 * len(text)) for text in completions]

    pairs = [
        {"prompt": "The plot", "chosen": " was bad.", "rejected": " was very bad."},
        {"prompt": "The plot", "chosen": " was very fine.", "rejected": " was fine."},
    ]
    labelled = shift_methods.labelled(length_batches, load_tokenizer("sft-reviews"), pairs, seed=0)
    assert [pair["chosen"] for pair in labelled] == [" was very bad.", " was very fine."]
    assert labelled[0]["rejected"] == " was bad."


def test_a_rater_without_a_preference_chooses_by_chance():
    pairs = [{"prompt": "The plot", "chosen": " was bad.", "rejected": " was fine."}] * 400
    nothing = lambda prompts, completions, **_: [0.0] * len(prompts)  # noqa: E731
    labelled = shift_methods.labelled(nothing, load_tokenizer("sft-reviews"), pairs, seed=0)
    kept = sum(pair["chosen"] == " was bad." for pair in labelled)
    assert 160 < kept < 240  # 200 ± 4 standard deviations of 10
