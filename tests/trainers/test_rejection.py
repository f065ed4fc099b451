"""Rejection sampling keeps the best text of each group, and imitates it."""

from __future__ import annotations

from statistics import mean
from types import SimpleNamespace

from datasets import Dataset

from align_core.data.encoding import encode_prompts
from align_core.models.sampling import RandomDraw, sample
from align_core.trainers import rejection
from align_core.trainers.common import QUIET
from tests import toy

PROMPTS = ["the film", "a plot", "the plot was never"]
SIZE = 4


def setup(tmp_path, steps, **config):
    options = {"seed": 3, "steps": steps, "batch_size": 16, "group_size": SIZE, "lora_r": 0}
    options |= {"lora_layers": None, "reward_model": "gold"}
    return SimpleNamespace(
        config=SimpleNamespace(**{**options, **config}),
        task=SimpleNamespace(max_new_tokens=8),
        tokenizer=toy.tokenizer(),
        model=toy.policy(),
        data=Dataset.from_dict({"prompt": PROMPTS}),
        gold=toy.reward,
        proxy=None,
        interrupted=lambda: False,
        arguments=QUIET
        | {
            "output_dir": str(tmp_path),
            "max_steps": steps,
            "learning_rate": 1e-2,
            "per_device_train_batch_size": 16,
            "seed": 3,
        },
    )


def test_the_best_of_each_group_is_kept(tmp_path):
    run, tokenizer = setup(tmp_path, 1), toy.tokenizer()
    asked = [prompt for prompt in PROMPTS for _ in range(SIZE)]
    draw = RandomDraw(3 * 1_000_003, len(asked))
    written = sample(
        run.model,
        encode_prompts(tokenizer, asked),
        draw,
        max_new_tokens=8,
        end_ids=[0],
        pad_id=1,
    ).ids()
    texts = tokenizer.batch_decode(written, skip_special_tokens=True)
    rewards = toy.reward(asked, texts, written)
    expected = []
    for start in range(0, len(asked), SIZE):
        group = range(start, start + SIZE)
        assert len({rewards[row] for row in group}) > 1, "the choice matters"
        best = max(group, key=lambda row: rewards[row])
        prompt = tokenizer(asked[start])["input_ids"]
        labels = [-100] * len(prompt) + written[best]
        expected.append({"input_ids": prompt + written[best], "labels": labels})
    assert rejection.best_texts(run, PROMPTS, SIZE).to_list() == expected


def test_each_batch_of_texts_has_its_own_noise_and_a_stop_keeps_the_first(tmp_path, monkeypatch):
    """Eight texts at a time are those of two prompts; the third prompt has the noise of place 2."""
    monkeypatch.setattr(rejection, "AT_ONCE", 2 * SIZE)
    run, seeds = setup(tmp_path, 1), []

    def draw(seed, count):
        seeds.append((seed, count))
        return RandomDraw(seed, count)

    monkeypatch.setattr(rejection, "RandomDraw", draw)
    assert len(rejection.best_texts(run, PROMPTS, SIZE)) == 3
    assert seeds == [(3 * 1_000_003, 2 * SIZE), (3 * 1_000_003 + 2, SIZE)]
    run.interrupted = lambda: True
    assert len(rejection.best_texts(run, PROMPTS, SIZE)) == 2


def test_a_run_draws_as_many_prompts_as_it_learns_from_and_all_of_them(tmp_path):
    run = setup(tmp_path, 3)
    drawn = rejection.prompts_of(PROMPTS, run.config)
    assert len(drawn) == 12 and all({*drawn[i : i + 3]} == {*PROMPTS} for i in range(0, 12, 3))


def test_the_policy_comes_to_write_better_texts(tmp_path):
    run = setup(tmp_path, 16, batch_size=64)
    run.arguments["per_device_train_batch_size"] = 64
    before = rejection.best_texts(run, PROMPTS * 16, 1)
    trainer = rejection.build(run)
    assert trainer.args.per_device_train_batch_size == 16, "of 64 sampled texts a quarter is kept"
    trainer.train()
    after = rejection.best_texts(run, PROMPTS * 16, 1)
    assert score(after) > score(before) + 0.5


def score(rows):
    ids = list(rows["input_ids"])
    texts = toy.tokenizer().batch_decode(ids, skip_special_tokens=True)
    return mean(toy.reward(None, texts, ids))
