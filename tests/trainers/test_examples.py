"""The examples that trainers show before they learn from them."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset

from align_core.data.encoding import (
    REFERENCE_LOGPS,
    encode_demonstrations,
    encode_pairs,
    encode_prompts,
)
from align_core.models.logprobs import logprobs
from align_core.models.rewards import ProxyReward
from align_core.trainers import dpo, examples, reward, sft
from align_core.trainers.simpo import SimPOTrainer
from tests import toy
from tests.trainers.small_trainers import arguments, dpo_trainer, rated_pairs

PAIRS = [  # of several lengths
    {
        **pair,
        "chosen": pair["chosen"] + " fine" * (n % 3),
        "rejected": pair["rejected"] + " ." * (n % 2),
    }
    for n, pair in enumerate(rated_pairs(32))
]
PROMPT = " the film"  # as the toy tokenizer decodes it
TEXTS = {pair["chosen"]: pair["rejected"] for pair in PAIRS}


def shown(trainer):
    """The examples of a training, which are all that it shows."""
    got = []
    trainer.example_listener = got.append
    trainer.train()
    return got


def logp(model, text):
    """log π(text | "the film"), end token included, in nats."""
    row = encode_pairs(toy.tokenizer(), [{"prompt": "the film", "chosen": text, "rejected": text}])
    prompts = encode_prompts(toy.tokenizer(), row["prompt_ids"])
    with torch.no_grad():
        return logprobs(model, prompts, row["chosen_ids"])[0].sum().item()


def with_reference(model):
    names = dict(zip(("chosen", "rejected"), REFERENCE_LOGPS, strict=True))
    return [
        {**pair, **{name: logp(model, pair[side]) for side, name in names.items()}}
        for pair in PAIRS
    ]


def test_sft_shows_demonstrations(tmp_path):
    said = {pair["chosen"] for pair in PAIRS}
    rows = [{"prompt": "the film", "completion": text} for text in said]
    demonstrations = encode_demonstrations(toy.tokenizer(), rows)
    settings = arguments(tmp_path, max_steps=3)
    got = shown(sft.make_trainer(toy.policy(), toy.tokenizer(), demonstrations, **settings))
    assert len(got) == 3 and {example["text"] for example in got} <= said
    assert [example.keys() for example in got] == [{"prompt", "text"}] * 3
    assert {example["prompt"] for example in got} == {PROMPT}


def test_dpo_shows_pairs_with_their_rewards_before_the_update(tmp_path):
    """β (log π(y) − log π_ref(y)) with π from the start of the step: at first 0, then by hand."""
    reference = toy.policy()
    rows = encode_pairs(toy.tokenizer(), with_reference(reference))
    trainer = dpo_trainer(tmp_path, rows, max_steps=3, learning_rate=0.01)
    got = []

    def listen(example):
        texts = {side: example[side]["text"] for side in ("chosen", "rejected")}
        assert TEXTS[texts["chosen"]] == texts["rejected"]
        for side, text in texts.items():
            ratio = logp(trainer.model, text) - logp(reference, text)
            assert example[side]["score"] == pytest.approx(0.5 * ratio, abs=1e-4)
        got.append(example["chosen"]["score"])

    trainer.example_listener = listen
    trainer.train()
    assert len(got) == 3 and abs(got[0]) < 1e-4 < abs(got[-1])


def test_without_the_reference_s_log_probabilities_a_pair_has_no_scores(tmp_path):
    rows = encode_pairs(toy.tokenizer(), PAIRS)
    (example,) = shown(dpo_trainer(tmp_path, rows, max_steps=1))
    assert example["chosen"].keys() == example["rejected"].keys() == {"text"}


def test_pairs_without_a_reference_are_shown_without_scores(tmp_path):
    rows = encode_pairs(toy.tokenizer(), PAIRS)
    settings = {"scale": 2.0, "margin": 1.0, **arguments(tmp_path, max_steps=1)}
    (example,) = shown(SimPOTrainer(toy.policy(), toy.tokenizer(), rows, **settings))
    assert example["prompt"] == PROMPT
    assert TEXTS[example["chosen"]["text"]] == example["rejected"]["text"]
    assert example["chosen"].keys() == {"text"}


def test_a_reward_model_shows_pairs_with_both_scores(tmp_path):
    model = toy.reward_model()
    first = copy.deepcopy(model).eval()
    rows = encode_pairs(toy.tokenizer(), PAIRS)
    settings = arguments(tmp_path, max_steps=2)
    got = shown(reward.make_trainer(model, toy.tokenizer(), rows, **settings))
    assert len(got) == 2
    for side in ("chosen", "rejected"):
        text = f"{got[0]['prompt']}{got[0][side]['text']}".removeprefix(PROMPT)
        assert text in TEXTS or text in TEXTS.values()
        ids = encode_pairs(
            toy.tokenizer(), [{"prompt": "the film", "chosen": text, "rejected": text}]
        )["chosen_ids"]
        (score,) = ProxyReward(first, toy.tokenizer())(["the film"], [text], completion_ids=ids)
        assert got[0][side]["score"] == pytest.approx(score, abs=1e-5)


def test_a_long_run_shows_few_examples(monkeypatch, tmp_path):
    monkeypatch.setattr(examples, "MAX_EXAMPLES", 2)
    rows = encode_pairs(toy.tokenizer(), PAIRS)
    trainer = dpo_trainer(tmp_path, rows, max_steps=5, gradient_accumulation_steps=2)
    steps = []
    trainer.example_listener = lambda example: steps.append(trainer.state.global_step)
    trainer.train()
    assert steps == [0, 3], "every third step, and one example of a step"


IDS = torch.tensor([[2, 4, 8, 0], [3, 5, 6, 9], [2, 4, 9, 1], [3, 5, 7, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]])


def words(*ids):
    return toy.tokenizer().decode(ids, skip_special_tokens=True)


def test_the_first_row_of_a_batch_is_shown():
    """Of demonstrations the first one; of pairs the first chosen and the first rejected text."""
    trainer = SimpleNamespace(processing_class=toy.tokenizer(), beta=0.5)
    labels = IDS.clone()
    labels[0, :2] = labels[1:, :3] = -100
    batch = {"input_ids": IDS, "attention_mask": MASK, "labels": labels}
    example = sft.SupervisedTrainer._demonstration(trainer, batch)
    assert example == {"prompt": words(2, 4), "text": " good"}

    scores = torch.tensor([0.5, 9.0, -1.5, 9.0])
    pair = reward.BradleyTerryTrainer._pair(trainer, batch, scores)
    both = {"chosen": {"text": " good", "score": 0.5}, "rejected": {"text": " bad", "score": -1.5}}
    assert pair == {"prompt": words(2, 4), **both}

    completion = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 1, 0], [0, 0, 0, 1]])
    logps = -torch.arange(12.0).view(4, 3)  # of the tokens from the second on
    stored = torch.tensor([-1.0, 7.0]), torch.tensor([-4.0, 7.0])
    batch |= {"completion_mask": completion, **dict(zip(REFERENCE_LOGPS, stored, strict=True))}
    logps = torch.cat([torch.full((4, 1), 9.0), logps], 1)  # of a longer batch that was cut
    pair = dpo.DirectPreferenceTrainer._pair(trainer, batch, logps)
    # 0.5 · (−1 − 2 + 1) and 0.5 · (−7 + 4)
    both = {"chosen": {"text": " good", "score": -1.0}, "rejected": {"text": " bad", "score": -1.5}}
    assert pair == {"prompt": words(2, 4), **both}


def test_scores_that_are_not_finite_are_not_shown():
    for scores in (None, torch.tensor([float("nan"), 1.0])):
        pair = examples.pair(toy.tokenizer(), [2], [8], [9], scores)
        assert (pair["chosen"], pair["rejected"]) == ({"text": " good"}, {"text": " bad"})


def test_a_run_that_goes_on_shows_its_first_step():
    shown, trainer = [], examples.ShownExamples()
    trainer.example_listener, trainer.state = shown.append, SimpleNamespace(max_steps=5)
    for trainer.state.global_step in (1, 1, 2):
        trainer.show(lambda: trainer.state.global_step)
    assert shown == [1, 2]


def test_the_longest_pair_has_its_prompt_and_the_longer_text():
    rows = [
        {"prompt_ids": [2], "chosen_ids": [5, 6, 7], "rejected_ids": [8]},
        {"prompt_ids": [2, 4, 5], "chosen_ids": [6], "rejected_ids": [7, 8]},
    ]
    assert dpo._longest(Dataset.from_list(rows)) == 3 + 2
    assert dpo._longest(Dataset.from_list(rows[:1])) == 1 + 3
