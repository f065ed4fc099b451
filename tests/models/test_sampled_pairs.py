"""Preference pairs: sampled from a policy, stored in a pool, labelled with noise."""

from __future__ import annotations

import random

import pyarrow
import pyarrow.parquet
import pytest
import torch

from align_core.config import model_index
from align_core.config.errors import ConfigError
from align_core.data.encoding import encode
from align_core.data.preference_files import stored_pairs
from align_core.models.rewards import ProxyReward
from align_core.models.sampled_pairs import (
    furthest_apart,
    sampled_pairs,
    scored_pairs,
    unlabelled_pairs,
    with_label_noise,
    with_reference_logps,
)
from align_core.tasks import Task
from tests import toy

TOKENS = toy.tokenizer()


class Rated(Task):
    """A task with the members that pairs need; its rater always prefers the higher reward."""

    name = "reviews"
    max_new_tokens = 6

    def prompts(self, split: str) -> list[str]:
        return {"train": ["the film", "a plot", "never"]}[split]

    def reward(self, prompts, completions, ended):
        return [
            2.0 * text.split().count("good") - text.split().count("bad") - 3.0 * (not whole)
            for text, whole in zip(completions, ended, strict=True)
        ]

    def prefers(self, reward_a: float, reward_b: float, rng: random.Random) -> bool:
        rng.random()
        return reward_a >= reward_b


def drawn(count: int = 150, seed: int = 0, task=None, **options) -> list[dict]:
    return sampled_pairs(toy.policy(), toy.tokenizer(), task or Rated(), count, seed, **options)


def sides(pair: dict) -> list[tuple]:
    return [
        (pair[side], pair[f"{side}_ended"], pair[f"{side}_reward"])
        for side in ("chosen", "rejected")
    ]


def test_sampled_pairs_are_two_different_texts_to_a_train_prompt():
    pairs = drawn()
    assert len(pairs) == 150
    for pair in pairs:
        assert pair["prompt"] in Rated().prompts("train")
        assert pair["chosen"] != pair["rejected"]
        assert pair["chosen"].strip() and pair["rejected"].strip()


def test_sampled_pairs_have_rewards_and_whether_each_text_ended():
    pairs = drawn()
    assert {ended for pair in pairs for _, ended, _ in sides(pair)} == {True, False}
    for pair in pairs:
        for text, ended, reward in sides(pair):
            assert reward == Rated().reward([pair["prompt"]], [text], [ended])[0]
            assert len(text.split()) <= 6 - ended, "the end is a separate token"
            assert "<end>" not in text


def test_the_rater_decides_which_text_is_chosen():
    assert all(pair["chosen_reward"] >= pair["rejected_reward"] for pair in drawn())

    class Contrary(Rated):
        def prefers(self, reward_a, reward_b, rng):
            return reward_a < reward_b

    against = drawn(task=Contrary())
    assert all(pair["chosen_reward"] <= pair["rejected_reward"] for pair in against)
    assert any(pair["chosen_reward"] < pair["rejected_reward"] for pair in against)


def test_of_several_candidates_the_worst_and_the_best_make_the_pair():
    apart = drawn(candidates=8)
    for pair in apart:
        assert pair["chosen"].strip() and pair["rejected"].strip()
        assert pair["chosen_reward"] > pair["rejected_reward"]

    def mean_gap(pairs: list[dict]) -> float:
        gaps = [abs(pair["chosen_reward"] - pair["rejected_reward"]) for pair in pairs]
        return sum(gaps) / len(gaps)

    assert mean_gap(apart) > 1.5 * mean_gap(drawn())
    samples = [("a", True, 1.0), ("", True, -9.0), ("b", True, 3.0), ("c", True, -1.0)]
    assert furthest_apart(samples) == (samples[2], samples[3])  # in the order of the draw
    assert furthest_apart([("a", True, 1.0), ("a", True, 1.0)]) is None
    assert furthest_apart([("a", True, 1.0), (" ", True, 0.0)]) is None


def test_the_seed_decides_the_pairs():
    assert drawn(seed=3) == drawn(seed=3)
    assert drawn(seed=3) != drawn(seed=4)


def test_more_pairs_continue_fewer_ones():
    assert drawn(150)[:40] == drawn(40)


def by_hand(prompt: str, text: str, ended: bool) -> float:
    """The log-probability of a text, token by token."""
    before, after = encode(toy.tokenizer(), prompt, text, ended)
    with torch.no_grad():
        logp = toy.policy()(input_ids=torch.tensor([before + after])).logits[0].log_softmax(-1)
    steps = range(len(before), len(before + after))
    return sum(logp[at - 1, (before + after)[at]].item() for at in steps)


def test_stored_pairs_have_the_references_log_probabilities():
    pairs = drawn(40)
    known = with_reference_logps(pairs, toy.policy(), toy.tokenizer())
    for pair, more in zip(pairs, known, strict=True):
        expected = {
            f"ref_{side}_logps": by_hand(pair["prompt"], pair[side], pair[f"{side}_ended"])
            for side in ("chosen", "rejected")
        }
        assert more == {
            **pair,
            **{name: pytest.approx(v, abs=1e-4) for name, v in expected.items()},
        }


def test_pairs_are_on_covered_prompts():
    assert {pair["prompt"] for pair in drawn(40, covers="a plot".__eq__)} == {"a plot"}


def test_progress_counts_up_to_all_pairs():
    counts: list[int] = []
    drawn(250, progress=counts.append)
    assert counts == sorted(counts)
    assert len(counts) > 1 and counts[-1] == 250


@pytest.fixture
def pool(tmp_path, monkeypatch) -> list[dict]:
    monkeypatch.setattr(model_index, "ASSETS", tmp_path)
    pairs = drawn(60)
    path = model_index.preference_pool("reviews")
    path.parent.mkdir()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(pairs), path)
    return pairs


def test_stored_pairs_are_chosen_by_the_seed(pool):
    some = stored_pairs("reviews", 20, seed=1)
    assert len(some) == 20 and all(pair in pool for pair in some)
    assert some == stored_pairs("reviews", 20, seed=1)
    assert some != stored_pairs("reviews", 20, seed=2)
    assert sorted(map(str, stored_pairs("reviews", 60, seed=1))) == sorted(map(str, pool))


def test_stored_pairs_are_on_covered_prompts(pool):
    uncovered = [pair for pair in pool if pair["prompt"] == "never"]
    assert 0 < len(uncovered) < 60
    some = stored_pairs("reviews", len(uncovered), seed=1, covers="never".__eq__)
    assert sorted(map(str, some)) == sorted(map(str, uncovered))
    with pytest.raises(ConfigError, match=f"expected at most the {len(uncovered)} stored pairs"):
        stored_pairs("reviews", len(uncovered) + 1, seed=1, covers="never".__eq__)


def test_a_too_small_pool_is_reported(pool):
    with pytest.raises(ConfigError) as error:
        stored_pairs("reviews", 61, seed=0)
    (line,) = error.value.lines
    assert line.text == "--preference-pairs got 61, expected at most the 60 stored pairs of reviews"


def swapped(pair: dict) -> dict:
    return {
        "ref_chosen_logps": pair["ref_rejected_logps"],
        "ref_rejected_logps": pair["ref_chosen_logps"],
        "prompt": pair["prompt"],
        "chosen": pair["rejected"],
        "rejected": pair["chosen"],
        "chosen_ended": pair["rejected_ended"],
        "rejected_ended": pair["chosen_ended"],
        "chosen_reward": pair["rejected_reward"],
        "rejected_reward": pair["chosen_reward"],
    }


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_label_noise_swaps_a_share_of_the_texts_with_all_their_columns(share):
    pairs = with_reference_logps(drawn(40), toy.policy(), toy.tokenizer())
    noisy = with_label_noise(pairs, share, seed=0)
    flipped = [a != b for a, b in zip(pairs, noisy, strict=True)]
    assert sum(flipped) == 40 * share
    for before, after in zip(pairs, noisy, strict=True):
        assert after in (before, swapped(before))


def test_label_noise_can_flip_pairs_of_a_file():
    pair = {"prompt": "the film", "chosen": "good", "rejected": "bad"}
    noisy = with_label_noise([pair] * 2, 0.5, seed=0)
    assert sorted(p["chosen"] for p in noisy) == ["bad", "good"]
    assert all(p["prompt"] == "the film" and len(p) == 3 for p in noisy)


def test_the_seed_decides_the_flips():
    pairs = drawn(40)
    assert with_label_noise(pairs, 0.5, 1) == with_label_noise(pairs, 0.5, 1)
    assert with_label_noise(pairs, 0.5, 1) != with_label_noise(pairs, 0.5, 2)


def test_pairs_to_label_equal_the_labelled_ones():
    labelled = drawn(40)
    pairs = unlabelled_pairs(toy.policy(), toy.tokenizer(), Rated(), 40, 0)
    parts = ("", "_ended", "_reward")
    for pair, known in zip(pairs[:5], labelled[:5], strict=True):  # the random labels differ later
        ours = [tuple(pair[side + part] for part in parts) for side in ("first", "second")]
        assert sorted(map(str, ours)) == sorted(map(str, sides(known)))
        assert pair["prompt"] == known["prompt"]
    assert len(pairs) == 40
    assert set(pairs[0]) == {"prompt"} | {s + p for s in ("first", "second") for p in parts}


def test_a_reward_model_scores_a_truncated_text_without_an_end_token():
    proxy = ProxyReward(toy.reward_model(), toy.tokenizer())
    pair = {"prompt": "the film", "first": " was good", "second": " was dull"}
    inputs = [pair["prompt"]]
    (whole,) = scored_pairs([{**pair, "first_ended": True, "second_ended": True}], inputs, proxy)
    (cut,) = scored_pairs([{**pair, "first_ended": False, "second_ended": True}], inputs, proxy)
    ids = {ended: encode(TOKENS, "the film", " was good", ended)[1] for ended in (True, False)}
    assert whole["first_score"] == proxy(["the film"], [""], completion_ids=[ids[True]])[0]
    assert cut["first_score"] == proxy(["the film"], [""], completion_ids=[ids[False]])[0]
    assert cut["first_score"] != whole["first_score"]
    assert cut["second_score"] == whole["second_score"]
    assert cut["prompt"] == "the film"
