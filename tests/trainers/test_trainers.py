"""SFT, the reward model, likelihoods, and what all trainers have in common, on the toy language."""

from __future__ import annotations

import math

import pytest
import torch
from datasets import Dataset

from align_core.data.encoding import encode_demonstrations, encode_pairs
from align_core.models.loading import freeze_trunk, new_reward_model, save_model
from align_core.models.rewards import ProxyReward
from align_core.trainers import reward, sft
from align_core.trainers.common import LengthSampler, NonFinite
from align_core.trainers.likelihood import LikelihoodTrainer
from tests import toy
from tests.trainers.small_trainers import (
    END,
    arguments,
    changed,
    dpo_trainer,
    history,
    pairs,
    rated_pairs,
    weights,
)

SIDES = "chosen_ids", "rejected_ids"


def demonstrations() -> Dataset:
    return encode_demonstrations(
        toy.tokenizer(), [{"prompt": "the film", "completion": " was good ."}] * 16
    )


@pytest.fixture
def reward_model(tmp_path):
    save_model(toy.policy(), toy.tokenizer(), tmp_path / "policy")
    return new_reward_model(str(tmp_path / "policy"), seed=0)


def accuracy(trainer) -> float:
    """The share of new pairs in which the model prefers the text with "good"."""
    unseen = rated_pairs(200)[64:]
    proxy = ProxyReward(trainer.model, toy.tokenizer())
    encoded = encode_pairs(toy.tokenizer(), unseen)
    prompts, better, worse = ([pair[name] for pair in unseen] for name in unseen[0])
    chosen = proxy(prompts, better, completion_ids=encoded["chosen_ids"])
    rejected = proxy(prompts, worse, completion_ids=encoded["rejected_ids"])
    return sum(a > b for a, b in zip(chosen, rejected, strict=True)) / len(unseen)


def test_sft_lowers_the_loss_on_the_completion(tmp_path):
    trainer = sft.make_trainer(
        toy.policy(), toy.tokenizer(), demonstrations(), **arguments(tmp_path)
    )
    trainer.train()
    loss = history(trainer, "loss")
    assert loss[0] > 1.0 and loss[-1] < 0.5


def test_the_loss_of_sft_is_on_the_completion_only(tmp_path):
    model = toy.policy()
    ids = demonstrations()[0]["input_ids"]
    with torch.no_grad():
        logp = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    by_hand = -sum(logp[i - 1, ids[i]].item() for i in range(2, len(ids))) / (len(ids) - 2)
    trainer = sft.make_trainer(
        model, toy.tokenizer(), demonstrations(), **arguments(tmp_path, max_steps=1)
    )
    trainer.train()
    assert history(trainer, "loss")[0] == pytest.approx(by_hand, abs=1e-4)


def test_a_reward_model_learns_a_preference(tmp_path, reward_model):
    trainer = reward.make_trainer(reward_model, toy.tokenizer(), pairs(), **arguments(tmp_path))
    before = accuracy(trainer)
    trainer.train()
    assert history(trainer, "loss")[-1] < 0.4
    assert before < 0.9 < accuracy(trainer)


def test_a_frozen_trunk_is_not_touched_by_training_the_head(tmp_path, reward_model):
    freeze_trunk(reward_model)
    before = weights(reward_model)
    trainer = reward.make_trainer(
        reward_model, toy.tokenizer(), pairs(), **arguments(tmp_path, learning_rate=0.03)
    )
    trainer.train()
    assert changed(before, trainer.model) == {"score.weight"}
    assert history(trainer, "loss")[-1] < history(trainer, "loss")[0]


def test_without_freezing_the_trunk_learns_too(tmp_path, reward_model):
    before = weights(reward_model)
    trainer = reward.make_trainer(
        reward_model, toy.tokenizer(), pairs(), **arguments(tmp_path, max_steps=2)
    )
    trainer.train()
    assert len(changed(before, trainer.model)) > 10


def test_the_reward_trainer_keeps_a_truncated_text_without_an_end_token(tmp_path, reward_model):
    cut = {**rated_pairs(1)[0], "chosen_ended": False, "rejected_ended": True}
    trainer = reward.make_trainer(
        reward_model,
        toy.tokenizer(),
        encode_pairs(toy.tokenizer(), [cut] * 16),
        **arguments(tmp_path),
    )
    batch = next(iter(trainer.get_train_dataloader()))
    texts = [
        ids[mask.bool()].tolist()
        for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    ]
    assert sorted(ids.count(END) for ids in texts) == [0] * 16 + [1] * 16
    prompt = toy.tokenizer()("the film")["input_ids"]
    assert all(ids[:2] == prompt and ids[2:4] != prompt for ids in texts)


def adapter_alone(names: set[str]) -> bool:
    return bool(names) and all("lora" in name or "score" in name for name in names)


def summed_logp(model, row, side):
    ids = row["prompt_ids"] + row[side]
    with torch.no_grad():
        logp = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    start = len(row["prompt_ids"])
    return sum(logp[i - 1, ids[i]].item() for i in range(start, len(ids)))


def test_the_loss_of_unlikelihood_is_of_whole_texts(tmp_path):
    model, rows = toy.policy(), pairs(2)
    by_hand = [
        0.5 * summed_logp(model, row, "rejected_ids") - summed_logp(model, row, "chosen_ids")
        for row in rows
    ]
    training_arguments = arguments(tmp_path, max_steps=1, per_device_train_batch_size=2)
    trainer = LikelihoodTrainer(model, toy.tokenizer(), rows, alpha=0.5, **training_arguments)
    trainer.train()
    assert history(trainer, "loss")[0] == pytest.approx(sum(by_hand) / 2, abs=1e-4)


def test_preferred_ft_learns_the_chosen_texts_and_unlikelihood_unlearns_the_others(tmp_path):
    training_arguments = arguments(tmp_path)
    after = {}
    for alpha in (0.0, 0.5):
        trainer = LikelihoodTrainer(
            toy.policy(), toy.tokenizer(), pairs(), alpha=alpha, **training_arguments
        )
        trainer.train()
        row = pairs(1)[0]
        after[alpha] = [summed_logp(trainer.model, row, side) for side in SIDES]
    before = [summed_logp(toy.policy(), row, side) for side in SIDES]
    assert after[0.0][0] > before[0] + 1
    assert after[0.5][0] - after[0.5][1] > after[0.0][0] - after[0.0][1] + 1


def test_lora_trains_the_adapter_alone(tmp_path, reward_model):
    few = {"max_steps": 3, "lora_r": 4}
    for trainer in (
        sft.make_trainer(
            toy.policy(), toy.tokenizer(), demonstrations(), **arguments(tmp_path, **few)
        ),
        dpo_trainer(tmp_path, pairs(), **few),
        reward.make_trainer(reward_model, toy.tokenizer(), pairs(), **arguments(tmp_path, **few)),
    ):
        before = weights(trainer.model)
        trainer.train()
        assert adapter_alone(changed(before, trainer.model))


@pytest.mark.parametrize("method", ["sft", "dpo", "reward"])
def test_a_loss_that_is_not_finite_stops_before_the_weights_are_touched(
    tmp_path, method, reward_model
):
    few = arguments(tmp_path, max_steps=5)
    trainer = {
        "sft": lambda: sft.make_trainer(toy.policy(), toy.tokenizer(), demonstrations(), **few),
        "dpo": lambda: dpo_trainer(tmp_path, pairs(), max_steps=5),
        "reward": lambda: reward.make_trainer(reward_model, toy.tokenizer(), pairs(), **few),
    }[method]()
    compute_loss, seen = trainer.compute_loss, []

    def poisoned(*args, **kwargs):
        seen.append(weights(trainer.model))
        loss = compute_loss(*args, **kwargs)
        return loss * math.nan if len(seen) == 3 else loss

    trainer.compute_loss = poisoned
    with pytest.raises(NonFinite, match="the loss is nan"):
        trainer.train()
    assert changed(seen[0], trainer.model), "two updates were made before"
    assert not changed(seen[2], trainer.model)


def test_an_infinite_gradient_stops_the_run_too(tmp_path):
    trainer = sft.make_trainer(
        toy.policy(), toy.tokenizer(), demonstrations(), **arguments(tmp_path)
    )
    before = weights(trainer.model)
    trainer.model.model.norm.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(NonFinite, match="a gradient is not finite"):
        trainer.train()
    assert not changed(before, trainer.model)


def test_training_prints_nothing(tmp_path, capsys):
    sft.make_trainer(
        toy.policy(), toy.tokenizer(), demonstrations(), **arguments(tmp_path, max_steps=2)
    ).train()
    assert capsys.readouterr().out == ""


def test_batches_have_rows_of_similar_lengths_in_random_order():
    lengths = [length % 17 for length in range(50)]
    sampler = LengthSampler(lengths, batch_size=8, seed=0)
    order = list(sampler)
    assert sorted(order) == list(range(50)) and len(sampler) == 50
    batches = [order[start : start + 8] for start in range(0, 48, 8)]
    spans = [sorted(lengths[row] for row in batch) for batch in batches]
    by_first = sorted(spans)
    assert spans != by_first and spans != by_first[::-1], (
        "the length of a batch does not predict the next"
    )
    for shorter, longer in zip(by_first, by_first[1:], strict=False):
        assert shorter[-1] <= longer[0]
    assert order == list(LengthSampler(lengths, batch_size=8, seed=0))
    sampler.set_epoch(1)
    assert list(sampler) != order
    sampler.set_epoch(0)
    assert list(sampler) == order


def test_trainers_batch_by_length(tmp_path):
    varied = [
        {"prompt": "the film", "chosen": " was" * size, "rejected": " dull" * (33 - size)}
        for size in range(17, 33)
    ] * 2
    trainer = dpo_trainer(
        tmp_path, encode_pairs(toy.tokenizer(), varied), per_device_train_batch_size=4
    )
    widths = [batch["input_ids"].shape[1] for batch in trainer.get_train_dataloader()]
    assert widths != sorted(widths)
    # prompt, the longer text of 17 to 32 words, end token: two lengths to each batch of four
    assert sorted(widths) == [2 + size + 1 for size in range(18, 33, 2)]
