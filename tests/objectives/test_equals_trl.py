"""Losses of one update equal those that TRL logs."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset

from align_core.objectives import bradley_terry_loss, dpo_loss, token_logprobs
from align_core.trainers import dpo, reward
from tests import toy

PAIRS = {  # token ids of the toy language; the second rejected text is truncated
    "prompt_ids": [[2, 3], [2, 4, 5], [3]],
    "chosen_ids": [[6, 0], [6, 7, 9, 0], [10, 0]],
    "rejected_ids": [[8, 0], [9], [7, 8, 9, 0]],
}


def logged(trainer, name: str) -> float:
    """The value of a metric that the trainer logs for its first update."""
    trainer.train()
    return next(entry[name] for entry in trainer.state.log_history if name in entry)


def text_logp(model, prompt: list[int], completion: list[int]) -> torch.Tensor:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt + completion])).logits[0]
    before = logits[len(prompt) - 1 : -1]
    return token_logprobs(before, torch.tensor(completion)).sum()


def one_update(tmp_path) -> dict:
    return {
        "output_dir": str(tmp_path),
        "max_steps": 1,
        "per_device_train_batch_size": 3,
        "learning_rate": 1e-3,
    }


def columns():
    return zip(*PAIRS.values(), strict=True)


@pytest.mark.parametrize("name", ["loss", "rewards/chosen", "rewards/rejected", "rewards/margins"])
def test_dpo_equals_trls(tmp_path, name):
    model, reference = toy.policy(0), toy.policy(1)
    sides = [
        [text_logp(network, prompt, text) for prompt, *texts in columns() for text in texts]
        for network in (model, reference)
    ]
    (chosen, rejected), (ref_chosen, ref_rejected) = (
        torch.stack(side).view(-1, 2).T for side in sides
    )
    ours = {
        "loss": dpo_loss(chosen, rejected, ref_chosen, ref_rejected, 0.3),
        "rewards/chosen": 0.3 * (chosen - ref_chosen),
        "rewards/rejected": 0.3 * (rejected - ref_rejected),
    }
    ours["rewards/margins"] = ours["rewards/chosen"] - ours["rewards/rejected"]
    pairs = Dataset.from_dict(PAIRS)
    trainer = dpo.make_trainer(
        model, reference, toy.tokenizer(), pairs, beta=0.3, **one_update(tmp_path)
    )
    assert logged(trainer, name) == pytest.approx(ours[name].mean().item(), abs=1e-5)


@pytest.mark.parametrize("name", ["loss", "margin"])
def test_bradley_terry_equals_trls(tmp_path, name):
    model = toy.reward_model()
    torch.nn.init.normal_(model.score.weight)
    chosen, rejected = (
        torch.stack([last_score(model, prompt + texts[side]) for prompt, *texts in columns()])
        for side in (0, 1)
    )
    ours = {"loss": bradley_terry_loss(chosen, rejected), "margin": chosen - rejected}
    pairs = Dataset.from_dict(PAIRS)
    trainer = reward.make_trainer(model, toy.tokenizer(), pairs, **one_update(tmp_path))
    assert logged(trainer, name) == pytest.approx(ours[name].mean().item(), abs=1e-5)


def last_score(model, ids: list[int]) -> torch.Tensor:
    """The scalar head's output at the last token, from the trunk's forward pass."""
    with torch.no_grad():
        states = model.model(input_ids=torch.tensor([ids])).last_hidden_state
        return model.score(states[0, -1])[0]
