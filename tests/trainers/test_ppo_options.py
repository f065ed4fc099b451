"""The effects of the options of PPO's configuration."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file

from align_core.trainers.ppo import generation
from tests import toy
from tests.trainers.small_ppo import PROMPTS, made
from tests.trainers.small_trainers import history


def episodes(trainer, prompt: str = "the film", count: int = 64):
    rows = [{"prompt": prompt}] * count
    return trainer._episodes(rows, range(count), count, seed=1, score=trainer.score)


def test_texts_that_did_not_end_are_penalised(tmp_path):
    nothing = lambda prompts, **_: [0.0] * len(prompts)  # noqa: E731
    rollout = episodes(made(tmp_path, reward=nothing, missing_eos_penalty=2.5))
    assert rollout.ended.any() and not rollout.ended.all()
    assert rollout.scores.tolist() == [0.0 if ended else -2.5 for ended in rollout.ended.tolist()]


def test_stop_tokens_end_a_response(tmp_path):
    eos = episodes(made(tmp_path))
    assert {row[mask][-1].item() for row, mask in zip(eos.tokens, eos.mask, strict=True)} > {0}
    never = episodes(made(tmp_path, stop_token=None))
    assert never.mask.all() and not never.ended.any()
    other = episodes(made(tmp_path, stop_token_id=8))
    ends = [row[mask][-1].item() for row, mask in zip(other.tokens, other.mask, strict=True)]
    assert all((end == 8) == ended for end, ended in zip(ends, other.ended.tolist(), strict=True))
    assert other.ended.any()


def test_rewards_can_be_whitened(tmp_path):
    """Twice the reward with twice β then gives the same rollout."""
    double = lambda *arguments, **named: [2 * r for r in toy.reward(*arguments, **named)]  # noqa: E731
    rows = [{"prompt": prompt} for prompt in PROMPTS] * 4
    reference = toy.policy(1)
    one, two, plain = (
        made(
            tmp_path,
            reward=reward,
            ref_model=copy.deepcopy(reference),
            kl_coef=beta,
            whiten_rewards=whiten,
            whiten_advantages=False,
        )._rollout(rows)
        for reward, beta, whiten in (
            (toy.reward, 0.2, True),
            (double, 0.4, True),
            (double, 0.4, False),
        )
    )
    # The mean is kept, so only the standard deviations are compared.
    spread = [r.advantages[r.mask].std().item() for r in (one, two, plain)]
    assert spread[0] == pytest.approx(spread[1], rel=0.05) != pytest.approx(spread[2], rel=0.05)


def test_advantages_are_whitened_by_default(tmp_path):
    rows = [{"prompt": prompt} for prompt in PROMPTS] * 4
    for whiten in (True, False):
        rollout = made(tmp_path, whiten_advantages=whiten)._rollout(rows)
        values = rollout.advantages[rollout.mask]
        white = abs(values.mean()) < 1e-5 and abs(values.var(correction=0) - 1) < 1e-3
        assert white == whiten


def test_beta_is_adapted_to_the_kl_target(tmp_path):
    loose = made(tmp_path, kl_target=0.001, kl_horizon=16, kl_coef=0.1)
    loose.train()
    kl, beta = history(loose, "objective/kl"), history(loose, "objective/kl_coef")
    assert kl[0] < 1e-6 and beta[0] == pytest.approx(0.1)
    assert beta[1] == pytest.approx(0.1 * (1 - 0.2 * 8 / 16)), "the KL is below the target: β falls"
    assert kl[1] > 0.001 and beta[2] == pytest.approx(beta[1] * 1.1), (
        "the KL is above the target: β rises"
    )


def test_the_reference_follows_the_policy_if_requested(tmp_path):
    start = toy.policy()
    trainer = made(
        tmp_path,
        model=copy.deepcopy(start),
        sync_ref_model=True,
        ref_model_mixup_alpha=0.25,
        ref_model_sync_steps=1,
        total_episodes=16,
        save_strategy="steps",
        save_steps=1,
    )
    trainer.train()
    first = load_file(tmp_path / "out" / "checkpoint-4" / "ppo.safetensors")
    for name, weights in start.named_parameters():
        expected = 0.75 * weights + 0.25 * first[f"policy.{name}"]
        torch.testing.assert_close(
            dict(trainer.reference.named_parameters())[name], expected, atol=1e-6, rtol=0
        )


def test_only_the_adapter_is_trained_and_saved(tmp_path):
    adapter = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = made(tmp_path, peft_config=adapter, value_model=toy.reward_model())
    assert trainer.reference is None
    names = {name for name, p in trainer.model.named_parameters() if p.requires_grad}
    assert all("lora" in name or name.startswith("value_model.") for name in names)
    assert "value_model.score.weight" in names, "a value model has no adapter, as in TRL"
    trainer.train()
    trainer.save_model(str(tmp_path / "kept"))
    assert (tmp_path / "kept" / "adapter_model.safetensors").is_file()
    assert not (tmp_path / "kept" / "model.safetensors").exists()


def test_a_moving_reference_is_refused_with_an_adapter(tmp_path):
    adapter = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    with pytest.raises(ValueError, match="expected False for a policy with an adapter"):
        made(tmp_path, peft_config=adapter, sync_ref_model=True)


def test_accumulated_gradients_are_those_of_the_whole_minibatch(tmp_path):
    """32 episodes at once or 4 at a time give the same weights after two rollouts."""
    ends = []
    for size, pieces in ((32, 1), (4, 8)):
        trainer = made(
            tmp_path,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=pieces,
            num_mini_batches=2,
            total_episodes=64,
            learning_rate=1e-3,
        )
        trainer.train()
        assert trainer.state.global_step == 8
        ends.append([p.detach().clone() for p in trainer.model.parameters()])
        assert history(trainer, "val/ratio")[0] == pytest.approx(1.0, abs=0.1)
    for whole, accumulated in zip(*ends, strict=True):
        torch.testing.assert_close(accumulated, whole, atol=2e-5, rtol=0)


def test_logging_over_several_rollouts_counts_all_episodes(tmp_path):
    trainer = made(tmp_path, logging_steps=2, total_episodes=32)
    trainer.train()
    assert history(trainer, "episode") == [16, 32]


def test_a_share_of_the_run_between_saves_is_a_number_of_whole_rollouts(tmp_path):
    trainer = made(tmp_path, save_steps=0.3, total_episodes=40)
    assert trainer.args.max_steps == 5 * 4 and trainer.args.save_steps == 2 * 4


ONE_UPDATE = {"total_episodes": 8, "num_ppo_epochs": 1, "num_mini_batches": 1}


@pytest.mark.parametrize("value_model", [None, toy.reward_model])
def test_a_policy_in_bfloat16_starts_at_its_reference_and_ratio_one(tmp_path, value_model):
    """They agree up to rounding in bfloat16 (8 bits), which differs with and without a cache."""
    values = value_model and value_model().bfloat16()
    model = toy.policy().bfloat16()
    trainer = made(tmp_path, model=model, value_model=values, **ONE_UPDATE)
    trainer.train()
    assert history(trainer, "objective/kl")[0] < 1e-5
    assert history(trainer, "policy/approxkl_avg")[0] < 1e-3
    assert abs(history(trainer, "objective/kl_estimate")[0]) < 0.2


def test_mixed_precision_applies_only_to_updates(tmp_path):
    """The ratio of the first update is then 1 up to the rounding of bfloat16, and not exactly."""
    trainer = made(tmp_path, bf16=True, **ONE_UPDATE)
    seen = set()
    trainer.policy.model.layers[0].mlp.down_proj.register_forward_hook(
        lambda _, args, output: seen.add((torch.is_grad_enabled(), output.dtype))
    )
    trainer.train()
    assert seen == {(False, torch.float32), (True, torch.bfloat16)}
    assert history(trainer, "objective/kl")[0] < 1e-10
    assert 0 < history(trainer, "policy/approxkl_avg")[0] < 1e-3


def test_a_resumed_run_keeps_an_adaptive_beta_and_a_moving_reference(tmp_path):
    changes = {
        "kl_target": 0.01,
        "kl_horizon": 16,
        "sync_ref_model": True,
        "ref_model_mixup_alpha": 0.25,
        "total_episodes": 40,
        "save_strategy": "steps",
        "save_steps": 2,
    }
    whole = made(tmp_path, **changes)
    whole.train()
    resumed = made(tmp_path, **changes)
    resumed.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-8"))
    assert resumed.beta == whole.beta
    for ours, theirs in zip(
        whole.reference.parameters(), resumed.reference.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_texts_are_sampled_in_parts_of_the_device_batch(tmp_path, monkeypatch):
    sizes, sample = [], generation.sample

    def recorded(policy, prompts, *args, **kwargs):
        sizes.append(len(prompts.ids))
        return sample(policy, prompts, *args, **kwargs)

    monkeypatch.setattr(generation, "sample", recorded)
    settings = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    made(tmp_path, **settings, num_mini_batches=1, total_episodes=8).train()
    assert sizes == [2, 2, 2, 2]
