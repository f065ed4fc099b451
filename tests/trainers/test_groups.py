"""RLOO and GRPO against plain arithmetic, text by text and token by token."""

from __future__ import annotations

import copy
from dataclasses import fields
from math import exp
from statistics import mean, stdev

import pytest
import torch
from datasets import Dataset

from align_core.models.logprobs import CHUNK
from align_core.objectives import group_advantages, leave_one_out
from align_core.trainers.common import QUIET
from align_core.trainers.groups import GroupConfig
from align_core.trainers.grpo import GRPOTrainer
from align_core.trainers.rloo import RLOOTrainer
from align_core.training.example_token import example_token
from tests import toy
from tests.trainers.test_ppo import as_rows, history

BETA, CLIP, SIZE = 0.3, 0.2, 4


def trainer(tmp_path, kind, **changes):
    settings = {
        "output_dir": str(tmp_path),
        "max_steps": 4,
        "per_device_train_batch_size": 16,
        "num_generations": SIZE,
        "num_mini_batches": 2,
        "num_ppo_epochs": 2,
        "learning_rate": 3e-3,
        "kl_coef": BETA,
        "cliprange": CLIP,
        "response_length": 8,
        "seed": 0,
    }
    return kind(
        args=kind.config(**{**QUIET, **settings, **changes}),
        processing_class=toy.tokenizer(),
        model=toy.policy(0),
        ref_model=toy.policy(1),
        reward_model=toy.reward,
        train_dataset=Dataset.from_dict({"prompt": ["the film", "a plot", "the plot was never"]}),
    )


def t(*values):
    return torch.tensor(values, dtype=torch.float32)


def test_the_advantages_of_rloo_by_hand():
    # 1 − mean(2, 6) = −3, 2 − mean(1, 6) = −1.5, 6 − mean(1, 2) = 4.5; another prompt: 0, 0, 0
    assert leave_one_out(t(1, 2, 6, 5, 5, 5), 3).tolist() == [-3, -1.5, 4.5, 0, 0, 0]


def test_the_advantages_of_grpo_by_hand():
    rewards = t(1, 3, 10, 30)  # means 2 and 20, standard deviations √2 and √200
    assert group_advantages(rewards, 2, "none").tolist() == [-1, 1, -10, 10]
    group = [value / (2**0.5 + 1e-4) for value in (-1, 1)]
    group += [value / (200**0.5 + 1e-4) for value in (-10, 10)]
    assert group_advantages(rewards, 2, "group").tolist() == pytest.approx(group)
    batch = [value / (stdev([1, 3, 10, 30]) + 1e-4) for value in (-1, 1, -10, 10)]
    assert group_advantages(rewards, 2, "batch").tolist() == pytest.approx(batch)


def texts_of(batch, *columns):
    """For each text, the columns at its own tokens."""
    return [
        [column[row][real].tolist() for column in columns] for row, real in enumerate(batch.mask)
    ]


def plain_advantages(made, scores, kls):
    """The advantage of each text, from its score and its KL estimate."""
    rloo = isinstance(made, RLOOTrainer)
    rewards = [s - BETA * k if rloo else s for s, k in zip(scores, kls, strict=True)]
    advantages = []
    for start in range(0, len(rewards), SIZE):
        group = rewards[start : start + SIZE]
        for i, reward in enumerate(group):
            if rloo:
                advantages.append(reward - mean(group[:i] + group[i + 1 :]))
            else:
                scale = {"group": group, "batch": rewards}.get(made.args.scale_rewards)
                divisor = 1.0 if scale is None else stdev(scale) + 1e-4
                advantages.append((reward - mean(group)) / divisor)
    return advantages


def plain_loss(made, texts):
    """The loss of texts, each (log π, old log π, log π_ref) by token, and an advantage."""
    totals, lengths = [], []
    for (new, old, ref), advantage in texts:
        ratios = [exp(a - b) for a, b in zip(new, old, strict=True)]
        if isinstance(made, RLOOTrainer):
            ratios = [exp(sum(new) - sum(old))] * len(new)
        elif made.args.importance_sampling_level == "sequence":
            ratios = [exp((sum(new) - sum(old)) / len(new))] * len(new)
        losses = [
            -min(ratio * advantage, min(max(ratio, 1 - CLIP), 1 + CLIP) * advantage)
            for ratio in ratios
        ]
        if isinstance(made, GRPOTrainer):
            k3 = [exp(b - a) - 1 - (b - a) for a, b in zip(new, ref, strict=True)]
            losses = [x + BETA * w * k for x, w, k in zip(losses, ratios, k3, strict=True)]
        totals.append(sum(losses))
        lengths.append(len(losses))
    match getattr(made.args, "loss_type", "grpo"):
        case "dapo":
            return sum(totals) / sum(lengths)
        case "dr_grpo":
            return sum(totals) / (len(totals) * made.args.response_length)
    return mean(total / length for total, length in zip(totals, lengths, strict=True))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (RLOOTrainer, {}),
        (GRPOTrainer, {}),
        (GRPOTrainer, {"loss_type": "grpo", "scale_rewards": "batch"}),
        (GRPOTrainer, {"loss_type": "dr_grpo", "scale_rewards": "none"}),
        (GRPOTrainer, {"importance_sampling_level": "sequence"}),
    ],
)
def test_rollout_and_loss_equal_plain_arithmetic(tmp_path, kind, options):
    made = trainer(tmp_path, kind, **options)
    prompts = ["a", "the film was good and the plot was never dull"] * 2
    rollout = made._rollout(as_rows([prompt for prompt in prompts for _ in range(SIZE)]))
    ids = [row[real].tolist() for row, real in zip(rollout.tokens, rollout.mask, strict=True)]
    assert min(map(len, ids)) < 8 == max(map(len, ids)), "short and truncated texts"
    scores = toy.reward(None, toy.tokenizer().batch_decode(ids, skip_special_tokens=True), ids)
    columns = texts_of(rollout, rollout.logp, rollout.ref_logp, rollout.advantages)
    kls = [sum(logp) - sum(ref) for logp, ref, _ in columns]
    advantages = plain_advantages(made, scores, kls)
    for (_, _, ours), theirs in zip(columns, advantages, strict=True):
        assert ours == pytest.approx([theirs] * len(ours), abs=1e-4)
    assert not rollout.advantages[~rollout.mask].any(), "none at padding"

    with torch.no_grad():  # away from the rollout's policy, so that the clip is active
        for parameter in made.model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
        outputs = made.model(rollout.prompts, rollout.tokens, rollout.mask)
        new, mask = outputs.logp, rollout.mask
        loss = made.compute_loss(made.model, rollout).item()
        metrics = made._losses(rollout, outputs)[1]
    of_ratio = metrics["loss/policy_avg"], metrics["policy/entropy_avg"], metrics["val/ratio"]
    assert of_ratio[1].item() == pytest.approx(outputs.entropy[mask].mean().item(), abs=1e-5)
    ratios = (new - rollout.logp)[mask].exp()
    assert of_ratio[2].item() == pytest.approx(ratios.mean().item(), abs=1e-4)
    texts = texts_of(rollout, new, rollout.logp, rollout.ref_logp)
    assert any(abs(exp(a - b) - 1) > CLIP for n, o, _ in texts for a, b in zip(n, o, strict=True))
    assert loss == pytest.approx(plain_loss(made, zip(texts, advantages, strict=True)), abs=1e-4)


def test_a_loss_of_texts_is_the_same_in_micro_batches(tmp_path):
    """A minibatch in two pieces, whose gradients are averaged, has the loss of the whole.

    Each piece has more texts than one forward pass takes.
    """
    made = trainer(tmp_path, GRPOTrainer)
    whole = made._rollout(as_rows([p for p in ["a", "the film was"] * 6 for _ in range(SIZE)]))
    assert len(whole.tokens) == 48 > 2 * CHUNK
    for loss in ("dapo", "grpo", "dr_grpo"):
        made.args.loss_type = loss
        generator = torch.Generator().manual_seed(0)
        parts = list(whole.micro_batches(1, 2, 0, 1, generator))
        losses = [made.compute_loss(made.model, part).item() for part in parts]
        assert mean(losses) == pytest.approx(made.compute_loss(made.model, whole).item(), abs=1e-5)


def test_a_rollout_has_each_prompt_as_often_as_a_group_is_large(tmp_path):
    made, seen = trainer(tmp_path, RLOOTrainer), []
    rollout = made._rollout
    made._rollout = lambda rows: seen.append([row["prompt"] for row in rows]) or rollout(rows)
    made.train()
    assert [len(rows) for rows in seen] == [16]
    assert all(len({*seen[0][i : i + SIZE]}) == 1 for i in range(0, 16, SIZE))
    assert {*seen[0]} == {"the film", "a plot", "the plot was never"}


@pytest.mark.parametrize("kind", [RLOOTrainer, GRPOTrainer])
def test_the_reward_rises_and_no_value_is_trained(tmp_path, kind):
    made = trainer(tmp_path, kind, max_steps=32, learning_rate=2e-2)
    before = copy.deepcopy(made.reference.state_dict())
    made.train()
    scores = history(made, "objective/scores")
    assert mean(scores[-3:]) > mean(scores[:3]) + 1
    assert not history(made, "loss/value_avg") and made.model.value_head is None
    assert example_token(made) is None, "PPO's equations do not hold for it"
    assert all(torch.equal(a, before[n]) for n, a in made.reference.state_dict().items())


def test_a_group_has_four_texts_unless_a_number_is_given(tmp_path):
    settings = {"output_dir": str(tmp_path), "per_device_train_batch_size": 8, **QUIET}
    assert GroupConfig(**settings).texts_per_prompt == 4
    assert GroupConfig(**settings, num_generations=2).texts_per_prompt == 2


@pytest.mark.parametrize("size", [1, 3, 32])
def test_groups_of_one_text_and_broken_groups_are_refused(tmp_path, size):
    with pytest.raises(ValueError, match=f"num_generations got {size}, expected 2 or more"):
        trainer(tmp_path, RLOOTrainer, num_generations=size)


@pytest.mark.parametrize("kind", [RLOOTrainer, GRPOTrainer])
def test_settings_of_values_are_refused(tmp_path, kind):
    names = ("gamma", "lam", "whiten_rewards", "whiten_advantages", "cliprange_value", "vf_coef")
    assert not {*names} & {field.name for field in fields(kind.config)}
    lines = "; no ".join(f"{name}: use PPO, which has a value model" for name in names)
    with pytest.raises(TypeError, match=f"^{kind.config.__name__} has no setting {lines}$"):
        trainer(tmp_path, kind, **dict.fromkeys(names, 1))
    with pytest.raises(TypeError, match="no setting init_kl_coef: use kl_coef"):
        trainer(tmp_path, kind, init_kl_coef=0.1)
    made = trainer(tmp_path, kind)
    with pytest.raises(ValueError, match="value_model: expected None, got LlamaFor"):
        kind(made.args, toy.tokenizer(), toy.policy(), None, value_model=toy.reward_model())
