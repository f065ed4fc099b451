"""Online DPO against plain arithmetic: labels, pairs within minibatches, and the loss."""

from __future__ import annotations

import copy
from math import exp, log
from statistics import mean
from types import SimpleNamespace

import pytest
import torch

from align_core.models.logprobs import CHUNK
from align_core.trainers.online_dpo import LABEL_SEED_OFFSET, OnlineDPOTrainer, drawn_labels
from tests import toy
from tests.trainers.test_groups import BETA, t, trainer
from tests.trainers.test_ppo import as_rows, history

PROMPTS = ["a", "the film was good and the plot was never dull", "the plot was"]


def made_with(tmp_path, **changes):
    return trainer(tmp_path, OnlineDPOTrainer, num_generations=2, **changes)


def test_labels_are_drawn_as_the_raters_draw_them():
    """σ(2) = 0.881; certain raters would give 1. Equal rewards: a half."""
    for difference, share in ((2.0, 0.8808), (0.0, 0.5), (-2.0, 0.1192)):
        labels = drawn_labels(t(1 + difference, 1).repeat(20_000), seed=1)
        assert labels[::2].equal(-labels[1::2]) and {*labels.tolist()} == {1.0, -1.0}
        assert (labels[::2] > 0).float().mean().item() == pytest.approx(share, abs=0.01)
    assert drawn_labels(t(9e4, 0, 0, 9e4), seed=1).tolist() == [1, -1, -1, 1]


def test_the_noise_of_labels_is_not_that_of_the_first_tokens():
    """The scores are equal, so that a label is 1 where its number is below 1/2."""
    for seed in (0, 7, 2**32 - 1):
        uniform = torch.rand(1000, generator=torch.Generator().manual_seed(seed))
        labels = drawn_labels(torch.zeros(2000), seed + LABEL_SEED_OFFSET)[::2]
        agreement = ((labels > 0) == (uniform < 0.5)).float().mean().item()
        assert agreement == pytest.approx(0.5, abs=0.05)  # a standard error is 0.016


def plain_loss(rows):
    """−log σ(β(w − l)) of pairs of texts, each (log π, log π_ref) by token, and a label."""
    losses = []
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        chosen, rejected = sorted((first, second), key=lambda row: -row[2])
        w, l = (sum(new) - sum(ref) for new, ref, _ in (chosen, rejected))  # noqa: E741  # the paper's
        losses.append(log(1 + exp(-BETA * (w - l))))
    return mean(losses)


def test_rollout_and_loss_equal_plain_arithmetic(tmp_path):
    made = made_with(tmp_path)
    rollout = made._rollout(as_rows([p for p in PROMPTS * 6 for _ in range(2)]))
    assert len(rollout.tokens) == 36 > 2 * CHUNK, "several forward passes, sorted by length"
    ids = [row[real].tolist() for row, real in zip(rollout.tokens, rollout.mask, strict=True)]
    scores = toy.reward(None, toy.tokenizer().batch_decode(ids, skip_special_tokens=True), ids)
    labels = drawn_labels(t(*scores), made._rollout_seed() + LABEL_SEED_OFFSET)
    assert rollout.advantages[:, 0].equal(labels)
    assert not rollout.advantages[~rollout.mask].any(), "no label at padding"
    with torch.no_grad():  # away from the rollout's policy
        for parameter in made.model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
        new = made.model(rollout.prompts, rollout.tokens, rollout.mask).logp
        loss = made.compute_loss(made.model, rollout).item()
    rows = [
        (new[row][real].tolist(), rollout.ref_logp[row][real].tolist(), labels[row].item())
        for row, real in enumerate(rollout.mask)
    ]
    assert loss == pytest.approx(plain_loss(rows), abs=1e-5)
    assert plain_loss(rows) != pytest.approx(plain_loss([(n, r, -y) for n, r, y in rows]), abs=1e-3)


def test_a_pair_stays_together_and_micro_batches_have_the_loss_of_the_whole(tmp_path):
    made = made_with(tmp_path)
    whole = made._rollout(as_rows([p for p in PROMPTS * 3 for _ in range(2)]))
    parts = list(whole.micro_batches(1, 2, 0, 1, torch.Generator().manual_seed(0)))
    assert sorted(len(part.tokens) for part in parts) == [8, 10]
    for part in parts:
        assert part.prompts.ids[::2].equal(part.prompts.ids[1::2])
        assert part.advantages[::2, 0].equal(-part.advantages[1::2, 0])
    losses = [made.compute_loss(made.model, part).item() for part in parts]
    assert mean(losses) == pytest.approx(made.compute_loss(made.model, whole).item(), abs=1e-5)


def test_the_reward_rises_and_the_reference_stays(tmp_path):
    made = made_with(tmp_path, max_steps=64, learning_rate=3e-3)
    before = copy.deepcopy(made.reference.state_dict())
    made.train()
    scores = history(made, "objective/scores")
    assert mean(scores[-3:]) > mean(scores[:3]) + 0.5
    assert mean(history(made, "rewards/margins")) > 0.1
    assert all(torch.equal(a, before[n]) for n, a in made.reference.state_dict().items())


def test_texts_that_are_as_likely_as_before_have_equal_rewards():
    recorded = {}
    trainer = SimpleNamespace(beta=2.0, _record=recorded.update)
    OnlineDPOTrainer._record_pairs(trainer, t(-3, -1), t(-4, -2), t(-3, -2), t(-4, -4))
    assert {name: value.item() for name, value in recorded.items()} == {
        "rewards/chosen": 1.0,  # the mean of 0 and 2 · (−1 + 2)
        "rewards/rejected": 2.0,  # of 0 and 2 · (−2 + 4)
        "rewards/margins": -1.0,
        "rewards/accuracies": 0.0,
    }
