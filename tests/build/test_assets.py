"""The embedded models and data have the properties that the tasks and the page rely on."""

from __future__ import annotations

import json
import random

import numpy as np
import pyarrow.parquet
import pytest
import torch

from align_core.build.assets import FEW_PAIRS, OFF_DISTRIBUTION_PAIRS
from align_core.config import model_index
from align_core.config.task_card import BUILT_IN
from align_core.data.encoding import encode_prompts
from align_core.evaluation.pair_accuracy import pair_accuracy
from align_core.models.loading import load_policy, load_reward_model, load_tokenizer
from align_core.models.rewards import ProxyReward
from align_core.models.sampled_pairs import with_reference_logps
from align_core.models.sampling import RandomDraw, sample
from align_core.optimum import Frontier, ReferenceSamples
from align_core.tasks import load_task
from align_core.tasks.grammar import tokenize
from align_core.tasks.reviews.grammar import GRAMMAR

pytestmark = pytest.mark.slow

MOODS = ("warm", "cold")
FACTS = json.loads((model_index.ASSETS / "facts.json").read_text())


@pytest.fixture(scope="module", params=BUILT_IN)
def task(request):
    return load_task(request.param)


def fresh_samples(task, times: int):
    """Held-out prompts, their sampled texts and whether each ended; no asset has this seed."""
    tokenizer = load_tokenizer(f"sft-{task.name}")
    prompts = task.prompts("heldout")
    drawn = sample(
        load_policy(f"sft-{task.name}"),
        encode_prompts(tokenizer, prompts).repeat(times),
        RandomDraw(987, len(prompts) * times),
        max_new_tokens=task.max_new_tokens,
        end_ids=[tokenizer.eos_token_id],
        pad_id=tokenizer.pad_token_id,
    )
    texts = tokenizer.batch_decode(drawn.ids(), skip_special_tokens=True)
    return [p for p in prompts for _ in range(times)], texts, drawn.ended.tolist()


def test_models_are_small_and_in_safetensors():
    assert model_index.embedded() == sorted(
        ["pretrained", *(f"{kind}-{task}" for kind in ("sft", "reward") for task in BUILT_IN)]
        + [f"reward-{task}-few" for task in FEW_PAIRS]
        + [f"reward-{task}-off" for task in OFF_DISTRIBUTION_PAIRS]
    )
    model, tokenizer = load_policy("pretrained"), load_tokenizer("pretrained")
    assert sum(p.numel() for p in model.parameters()) <= 1_200_000
    assert len(tokenizer) <= 1024
    for text in ("Ünïcode 😀 \n and  spaces", "superb"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    files = [path for path in model_index.ASSETS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 40e6
    assert not [p for p in files if p.suffix in (".bin", ".pt", ".pkl", ".pickle")]


def test_common_words_are_tokens_and_anything_else_still_encodes():
    tokenizer = load_tokenizer("pretrained")
    words = [
        word
        for demonstration in load_task("reviews").demonstrations(500, 77)
        for word in demonstration["completion"].split()
    ]
    whole = [len(tokenizer(" " + word.strip(".,!"))["input_ids"]) == 1 for word in words]
    assert np.mean(whole) > 0.95
    foreign = "Gandalf’s beard — so 🎉 ünïcode, 42!"
    assert tokenizer.decode(tokenizer(foreign)["input_ids"]) == foreign


def test_the_sft_model_is_fluent(task):
    """The documented figure is over 12,288 stored samples; 1,024 new ones must agree with it."""
    assert FACTS[f"sft-{task.name}"]["fluent"] >= 0.97
    prompts, texts, ended = fresh_samples(task, 8)
    fluent = np.mean(
        [e and task.parses(p, t) for p, t, e in zip(prompts, texts, ended, strict=True)]
    )
    assert fluent >= 0.97 - 3 * (0.97 * 0.03 / len(texts)) ** 0.5


def test_the_reviews_model_distinguishes_positive_and_negative_words():
    """After "The plot was dull and" it continues negatively; chance would be one half."""
    moods = {word: mood for mood in MOODS for (word,) in GRAMMAR.phrases(f"adjective_{mood}")}
    prompts = [f"The plot was {word} and" for word in moods for _ in range(4)]
    tokenizer = load_tokenizer("sft-reviews")
    drawn = sample(
        load_policy("sft-reviews"),
        encode_prompts(tokenizer, prompts),
        RandomDraw(987, len(prompts)),
        max_new_tokens=8,
        end_ids=[tokenizer.eos_token_id],
        pad_id=tokenizer.pad_token_id,
    )
    texts = tokenizer.batch_decode(drawn.ids(), skip_special_tokens=True)
    same = [
        moods[following] == moods[prompt.split()[3]]
        for prompt, text in zip(prompts, texts, strict=True)
        if (following := tokenize(text)[0]) in moods
    ]
    assert len(same) > 200 and np.mean(same) > 0.95


def test_the_capitals_model_is_right_on_half_to_seventy_percent():
    task = load_task("capitals")
    prompts, texts, ended = fresh_samples(task, 8)
    right = np.mean([r > -0.5 for r in task.reward(prompts, texts, ended=ended)])
    assert 0.50 <= right <= 0.70


@pytest.mark.parametrize("split", ["probe", "heldout"])
def test_reference_samples_carry_their_gold_rewards(task, split):
    stored = ReferenceSamples.load(model_index.reference_samples(task.name, split))
    assert stored.prompts == task.prompts(split)
    assert stored.rewards.shape[1] >= 1024
    tokenizer, rng = load_tokenizer("pretrained"), random.Random(0)
    for _ in range(200):
        row = rng.randrange(len(stored.prompts)), rng.randrange(stored.rewards.shape[1])
        ids = stored.tokens[row][: stored.lengths[row]].tolist()
        text = tokenizer.decode(ids, skip_special_tokens=True)
        assert (ids[-1] == tokenizer.eos_token_id) == stored.ended[row]
        (reward,) = task.reward([stored.prompts[row[0]]], [text], completion_ids=[ids])
        assert reward == pytest.approx(stored.rewards[row], abs=1e-5)


def test_rewards_have_the_standard_deviation_that_beta_assumes(task):
    stored = ReferenceSamples.load(model_index.reference_samples(task.name, "heldout"))
    assert 1.5 <= stored.rewards.std() <= 2.5
    frontier = Frontier.of(stored.rewards)
    assert frontier.at(2.0)[0] - stored.rewards.mean() > 1.5
    assert frontier.at(2.0)[1] >= 100


def test_the_pool_is_labelled_by_the_rater(task):
    """The share of labels that agree with the gold reward is the mean of σ(|difference|)."""
    pool = pyarrow.parquet.read_table(model_index.preference_pool(task.name)).to_pylist()
    assert len(pool) >= 5000
    train = set(task.prompts("train"))
    assert all(pair["prompt"] in train and pair["chosen"] != pair["rejected"] for pair in pool)
    delta = np.array([pair["chosen_reward"] - pair["rejected_reward"] for pair in pool])
    expected = 1 / (1 + np.exp(-np.abs(delta[delta != 0])))
    spread = (expected * (1 - expected)).sum() ** 0.5
    assert abs((delta > 0).sum() - expected.sum()) < 4 * spread


def test_the_pool_has_the_sft_models_log_probabilities(task):
    pool = pyarrow.parquet.read_table(model_index.preference_pool(task.name)).to_pylist()
    some = random.Random(1).sample(pool, 64)
    policy, tokenizer = load_policy(f"sft-{task.name}"), load_tokenizer("pretrained")
    for stored, fresh in zip(some, with_reference_logps(some, policy, tokenizer), strict=True):
        assert stored == {
            **fresh,
            "ref_chosen_logps": pytest.approx(fresh["ref_chosen_logps"], abs=1e-3),
            "ref_rejected_logps": pytest.approx(fresh["ref_rejected_logps"], abs=1e-3),
        }


def test_the_reward_model_beats_chance(task):
    """Its exact accuracy is measured by benchmarks/defaults.py (docs/benchmarks.md)."""
    tokenizer = load_tokenizer("pretrained")
    stored = ReferenceSamples.load(model_index.reference_samples(task.name, "heldout"))
    proxy = ProxyReward(load_reward_model(f"reward-{task.name}"), tokenizer)
    with torch.no_grad():
        right, margin, _ = pair_accuracy(proxy, tokenizer, stored)
    assert right.mean() > {"reviews": 0.8, "capitals": 0.7}[task.name]
    assert margin.mean() > 1.0


@pytest.mark.parametrize("name", FEW_PAIRS)
def test_a_reward_model_of_few_pairs_is_less_accurate(name):
    tokenizer = load_tokenizer("pretrained")
    stored = ReferenceSamples.load(model_index.reference_samples(name, "heldout"))
    few, all_ = (
        pair_accuracy(ProxyReward(load_reward_model(model), tokenizer), tokenizer, stored)[0].mean()
        for model in (f"reward-{name}-few", f"reward-{name}")
    )
    assert 0.5 < few < all_ - 0.05


@pytest.mark.parametrize("name", OFF_DISTRIBUTION_PAIRS)
def test_a_reward_model_of_another_models_texts_works_on_the_references(name):
    tokenizer = load_tokenizer("pretrained")
    stored = ReferenceSamples.load(model_index.reference_samples(name, "heldout"))
    proxy = ProxyReward(load_reward_model(f"reward-{name}-off"), tokenizer)
    assert pair_accuracy(proxy, tokenizer, stored)[0].mean() > 0.8
