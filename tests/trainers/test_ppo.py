"""PPO end to end on a toy language, and a plain recomputation of its rollouts."""

from __future__ import annotations

import copy
import shutil

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file

from align_core.data.encoding import encode_prompts
from align_core.models.logprobs import CHUNK, response_outputs
from align_core.objectives import (
    exact_kl,
    gae,
    masked_whiten,
    ppo_policy_loss,
    ppo_value_loss,
    token_logprobs,
    token_rewards,
)
from align_core.trainers.common import NonFinite
from align_core.trainers.ppo import build as ppo
from tests import toy


def trainer(tmp_path, *, model=None, reference=None, reward=toy.reward, **changes):
    model = model or toy.policy()
    if reference is None and not changes.get("lora_r"):
        reference = copy.deepcopy(model)
    return ppo.make_trainer(
        model,
        reference,
        toy.tokenizer(),
        Dataset.from_dict({"prompt": ["the film", "a plot", "the plot was never"]}),
        reward=reward,
        **{
            "output_dir": str(tmp_path),
            "max_steps": 4,
            "per_device_train_batch_size": 32,
            "num_mini_batches": 2,
            "num_ppo_epochs": 2,
            "learning_rate": 3e-3,
            "kl_coef": 0.1,
            "response_length": 8,
            "cliprange_value": 10.0,
            "seed": 0,
            **changes,
        },
    )


def as_rows(prompts):
    return [{"prompt": prompt} for prompt in prompts]


def history(trained, name):
    return [entry[name] for entry in trained.state.log_history if name in entry]


def test_ppo_improves_the_reward_at_a_cost_in_kl(tmp_path):
    trained = trainer(tmp_path, max_steps=12 * 4, learning_rate=1e-2)
    trained.train()
    scores, kl = history(trained, "objective/scores"), history(trained, "objective/kl")
    assert sum(scores[-5:]) / 5 > sum(scores[:5]) / 5 + 2.0
    assert kl[0] < 1e-5 < 0.1 < kl[-1]


def test_a_reward_with_its_sign_flipped_does_not_improve(tmp_path):
    trained = trainer(
        tmp_path,
        reward=lambda *args, **kwargs: [-r for r in toy.reward(*args, **kwargs)],
        max_steps=6 * 4,
        learning_rate=1e-2,
    )
    trained.train()
    scores = history(trained, "objective/scores")
    own = [-score for score in scores]
    assert own[-1] < own[0] - 2


@pytest.mark.parametrize("value_model", [None, toy.reward_model])
def test_a_rollout_agrees_with_plain_recomputation(tmp_path, value_model):
    model, reference = toy.policy(0), toy.policy(1)
    made = trainer(
        tmp_path,
        model=model,
        reference=reference,
        kl_coef=0.3,
        value_model=value_model and value_model(),
    )
    if value_model is None:
        torch.nn.init.normal_(made.model.value_head.linear.weight)
    prompts = ["the film", "a plot", "the plot was never"] * 30  # more than one chunk
    rollout = made._rollout(as_rows(prompts))
    encoded = encode_prompts(toy.tokenizer(), prompts)
    with torch.no_grad():
        logits, _ = response_outputs(model, encoded, rollout.tokens, rollout.mask)
        values = made.model(encoded, rollout.tokens, rollout.mask).values
        ref_logits, _ = response_outputs(reference, encoded, rollout.tokens, rollout.mask)
        values = values * rollout.mask
    logp = token_logprobs(logits, rollout.tokens) * rollout.mask
    ref_logp = token_logprobs(ref_logits, rollout.tokens) * rollout.mask
    ids = [row[keep].tolist() for row, keep in zip(rollout.tokens, rollout.mask, strict=True)]
    texts = toy.tokenizer().batch_decode(ids, skip_special_tokens=True)
    scores = torch.tensor(toy.reward(prompts, texts, ids))
    rewards = token_rewards(scores, logp - ref_logp, rollout.mask, 0.3)
    advantages, returns = gae(rewards, values, rollout.mask, 1.0, 0.95)
    near = {"atol": 1e-4, "rtol": 0}
    torch.testing.assert_close(rollout.logp, logp, **near)
    torch.testing.assert_close(rollout.values, values, **near)
    torch.testing.assert_close(rollout.returns, returns, **near)
    torch.testing.assert_close(rollout.advantages, masked_whiten(advantages, rollout.mask), **near)
    kl = (exact_kl(logits, ref_logits) * rollout.mask).sum(1).mean().item()
    assert made._metrics["objective/kl"] == pytest.approx([kl], abs=1e-5)
    assert made._metrics["objective/non_score_reward"] == pytest.approx(
        [-0.3 * (logp - ref_logp).sum(1).mean().item()], abs=1e-4
    )


def plain_loss(made, rollout):
    """The loss of one minibatch in a single forward pass, padding included."""
    logp, _, values = made.model(rollout.prompts, rollout.tokens, rollout.mask)
    policy, _ = ppo_policy_loss(logp, rollout.logp, rollout.advantages, 0.2)
    value, _ = ppo_value_loss(values, rollout.values, rollout.returns, 10.0)
    losses = (policy + made.args.vf_coef * value)[rollout.mask]
    return losses.sum() / rollout.mask.sum()


@pytest.mark.parametrize("value_model", [None, toy.reward_model])
def test_the_loss_by_length_equals_the_loss_in_one_piece(tmp_path, value_model):
    made = trainer(tmp_path, value_model=value_model and value_model(), vf_coef=0.5)
    rollout = made._rollout(as_rows(["the film", "a plot", "the plot was never"] * 30))
    assert len(rollout.tokens) > CHUNK, "the test needs more than one chunk"
    with torch.no_grad():  # away from the rollout's policy, so that ratios differ from 1
        for parameter in made.model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    gradients = []
    for loss in (plain_loss(made, rollout), made.compute_loss(made.model, rollout)):
        gradients.append(torch.autograd.grad(loss, list(made.model.parameters())))
        gradients[-1] = [loss.detach(), *gradients[-1]]
    for plain, length_batches in zip(*gradients, strict=True):
        torch.testing.assert_close(length_batches, plain, atol=1e-5, rtol=1e-4)


def test_a_value_model_learns_the_remaining_return(tmp_path):
    settings = {"max_steps": 20 * 4, "learning_rate": 1e-2, "vf_coef": 1.0}
    trained = trainer(tmp_path, value_model=toy.reward_model(), **settings)
    trained.train()
    errors = history(trained, "loss/value_avg")
    assert sum(errors[-5:]) < 0.7 * sum(errors[:5])


def test_the_first_minibatch_has_ratio_one(tmp_path):
    trained = trainer(tmp_path, max_steps=1, num_ppo_epochs=1, num_mini_batches=1)
    trained.train()
    assert history(trained, "val/ratio")[0] == pytest.approx(1.0, abs=1e-5)
    assert history(trained, "policy/clipfrac_avg")[0] == 0.0


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_before_the_weights_are_touched(tmp_path, poison):
    calls = []

    def reward(prompts, completions, **kwargs):
        calls.append(1)
        good = toy.reward(prompts, completions, **kwargs)
        return good if len(calls) < 2 else [poison] * len(good)

    made = trainer(tmp_path, reward=reward, max_steps=12)
    before = {}

    def remember(*args, **kwargs):
        before.update({n: p.detach().clone() for n, p in made.model.named_parameters()})

    rollout = made._rollout
    made._rollout = lambda rows: (remember(), rollout(rows))[1]
    with pytest.raises(NonFinite):
        made.train()
    assert made.state.global_step == 4
    for name, parameter in made.model.named_parameters():
        assert torch.equal(parameter, before[name])


def test_lora_trains_the_adapter_alone_and_its_reference_is_the_base(tmp_path):
    base = toy.policy()
    weights = {n: p.clone() for n, p in base.named_parameters()}
    trained = trainer(tmp_path, model=base, lora_r=4, max_steps=8)
    assert trained.reference is None
    trained.train()
    kl = history(trained, "objective/kl")
    assert kl[0] < 1e-5 < kl[-1]
    for name, parameter in trained.policy.named_parameters():
        if "lora" not in name:
            plain = name.replace("base_model.model.", "").replace(".base_layer", "")
            assert torch.equal(parameter, weights[plain])


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(tmp_path):
    changes = {"max_steps": 16, "save_strategy": "steps", "save_steps": 2}
    whole = trainer(tmp_path / "whole", **changes)
    whole.train()
    trainer(tmp_path / "broken", **changes).train()
    shutil.rmtree(tmp_path / "broken" / "checkpoint-16")
    resumed = trainer(tmp_path / "broken", **changes)
    resumed.train(resume_from_checkpoint=str(tmp_path / "broken" / "checkpoint-8"))
    a = load_file(tmp_path / "whole" / "checkpoint-16" / "ppo.safetensors")
    b = load_file(tmp_path / "broken" / "checkpoint-16" / "ppo.safetensors")
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
