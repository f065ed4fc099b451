"""DPO with TRL's trainer, on the toy language."""

from __future__ import annotations

import copy
import math

import pytest

from align_core.data.encoding import encode_pairs
from align_core.models.sampled_pairs import with_reference_logps
from align_core.trainers import dpo
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


def test_dpo_starts_at_log_two_and_prefers_the_chosen_texts(tmp_path):
    trainer = dpo_trainer(tmp_path, pairs(), learning_rate=1e-3)
    trainer.train()
    loss, margins = history(trainer, "loss"), history(trainer, "rewards/margins")
    assert loss[0] == pytest.approx(math.log(2), abs=1e-5)
    assert loss[-1] < 0.4
    assert margins[0] == pytest.approx(0, abs=1e-5) and margins[-1] > 1.0


def test_dpo_leaves_the_reference_alone(tmp_path):
    reference = toy.policy().requires_grad_(False)
    before = weights(reference)
    trainer = dpo_trainer(tmp_path, pairs(), reference, max_steps=3)
    trainer.train()
    assert not changed(before, reference)
    assert changed(before, trainer.model)


def test_dpo_needs_no_reference_with_stored_log_probabilities(tmp_path):
    """With stored reference log-probabilities, the losses are the same without a reference."""
    reference = toy.policy(1).requires_grad_(False)
    rated = rated_pairs(64)
    known = encode_pairs(toy.tokenizer(), with_reference_logps(rated, reference, toy.tokenizer()))
    losses = []
    for data, used in ((pairs(), reference), (known, None)):
        trainer = dpo.make_trainer(
            toy.policy(0), used, toy.tokenizer(), data, beta=0.5, **arguments(tmp_path, max_steps=4)
        )
        assert trainer.ref_model is used
        trainer.train()
        losses.append(history(trainer, "loss"))
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    assert losses[0][0] != pytest.approx(math.log(2), abs=1e-2), "policy and reference differ"


def test_dpo_keeps_a_truncated_text_without_an_end_token(tmp_path):
    cut = {**rated_pairs(1)[0], "chosen_ended": False, "rejected_ended": True}
    trainer = dpo_trainer(tmp_path, encode_pairs(toy.tokenizer(), [cut] * 16))
    batch = next(iter(trainer.get_train_dataloader()))
    completions = [
        ids[mask.bool()].tolist()
        for ids, mask in zip(batch["input_ids"], batch["completion_mask"], strict=True)
    ]
    chosen, rejected = completions[:16], completions[16:]
    assert all(END not in ids for ids in chosen)
    assert all(ids.count(END) == 1 and ids[-1] == END for ids in rejected)


def test_beta_can_change_while_dpo_trains(tmp_path):
    """The logged reward is β log(π/π_ref), so twice β gives twice the reward."""
    policy, reference = toy.policy(0), toy.policy(1)
    logged = []
    for beta in (0.5, 1.0):
        made = dpo.make_trainer(
            copy.deepcopy(policy),
            reference,
            toy.tokenizer(),
            pairs(),
            beta=0.5,
            **arguments(tmp_path, max_steps=1),
        )
        made.beta = beta
        made.train()
        logged.append(history(made, "rewards/chosen")[0])
    assert logged[1] == pytest.approx(2 * logged[0], rel=1e-4)


def test_dpo_with_lora_starts_at_log_two(tmp_path):
    trainer = dpo_trainer(tmp_path, pairs(), lora_r=4, max_steps=1)
    trainer.train()
    assert history(trainer, "loss")[0] == pytest.approx(math.log(2), abs=1e-5)
