"""The public interface of PPOTrainer: TRL's last arguments for PPO, and rewards of any kind."""

from __future__ import annotations

import copy

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorWithPadding

from align_core import PPOConfig, PPOTrainer
from align_core.models.rewards import ProxyReward
from align_core.trainers.ppo import generation
from align_core.trainers.ppo.prompts import prompts_of
from tests import toy
from tests.ports.ported import scored

PROMPTS = ["the film", "a plot", "the plot was never", "never a film"]


def made(tmp_path, *, data=None, reward=toy.reward, tokenizer=None, model=None, **changes):
    parts = {
        name: changes.pop(name)
        for name in ("ref_model", "value_model", "data_collator", "eval_dataset", "peft_config")
        if name in changes
    }
    settings = {
        "output_dir": str(tmp_path / "out"),
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 1,
        "per_device_train_batch_size": 8,
        "num_ppo_epochs": 2,
        "num_mini_batches": 2,
        "total_episodes": 24,
        "response_length": 6,
        "learning_rate": 1e-2,
        "seed": 0,
        **changes,
    }
    return PPOTrainer(
        args=PPOConfig(**settings),
        processing_class=tokenizer or toy.tokenizer(),
        model=model or toy.policy(),
        ref_model=parts.pop("ref_model", None),
        reward_model=reward,
        train_dataset=data or Dataset.from_dict({"prompt": PROMPTS}),
        value_model=parts.pop("value_model", None),
        **parts,
    )


def history(trainer, name):
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def test_a_script_for_trls_ppo_runs(tmp_path):
    """Tokenised prompts, a reward model, a value model, and a copy as the reference."""
    tokenizer = toy.tokenizer()
    data = Dataset.from_dict({"input_ids": tokenizer(PROMPTS)["input_ids"]})
    trainer = made(
        tmp_path,
        data=data,
        reward=toy.reward_model(),
        ref_model=toy.policy(),
        value_model=toy.reward_model(),
        eval_dataset=data,
        missing_eos_penalty=1.0,
        stop_token="eos",
    )
    trainer.train()
    assert trainer.state.global_step == 3 * 2 * 2, "24 episodes are 3 rollouts of 4 steps"
    assert history(trainer, "episode") == [8, 16, 24]
    metrics = trainer.evaluate()
    assert metrics["eval_objective/kl"] > 0
    trainer.save_model(str(tmp_path / "kept"))
    kept = AutoModelForCausalLM.from_pretrained(tmp_path / "kept")
    for ours, theirs in zip(trainer.policy.parameters(), kept.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert AutoTokenizer.from_pretrained(tmp_path / "kept").get_vocab() == tokenizer.get_vocab()


@pytest.mark.parametrize(
    ("setting", "use"),
    [
        ("init_kl_coef", "kl_coef"),
        ("model_name", "model"),
        ("log_with", "report_to"),
        ("mini_batch_size", "num_mini_batches"),
    ],
)
def test_an_unsupported_setting_is_refused_with_the_alternative(tmp_path, setting, use):
    with pytest.raises(TypeError, match=f"no setting {setting}: use .*{use}"):
        PPOConfig(output_dir=str(tmp_path), **{setting: 1})


def test_all_foreign_settings_are_reported_together(tmp_path):
    with pytest.raises(TypeError, match="no setting init_kl_coef: .*; no ppo_epochs: "):
        PPOConfig(output_dir=str(tmp_path), init_kl_coef=0.1, ppo_epochs=4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kl_estimator": "k2"}, "'k1' or 'k3'"),
        ({"stop_token": "dot"}, "'eos' or None"),
        ({"temperature": 0.0}, "above 0"),
        ({"ref_adapter_name": "sft"}, "expected None; use ref_model=None"),
        ({"neftune_noise_alpha": 5.0}, "expected None; use nothing: noise"),
        ({"load_best_model_at_end": True, "save_strategy": "no"}, "expected False"),
        ({"missing_eos_penalty": -1.0}, "above 0"),
        ({"per_device_train_batch_size": 8, "num_mini_batches": 3}, "a divisor of the 8"),
    ],
)
def test_invalid_settings_of_ppo_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        PPOConfig(output_dir=str(tmp_path), use_cpu=True, **settings)


def test_the_policy_is_not_its_own_reference(tmp_path):
    model = toy.policy()
    with pytest.raises(ValueError, match="ref_model is model itself"):
        made(tmp_path, model=model, ref_model=model)


def test_a_reward_function_sees_texts_ids_and_columns(tmp_path):
    seen = []

    def reward(prompts, completions, completion_ids, topic, **_):
        seen.extend(zip(prompts, completions, completion_ids, topic, strict=True))
        return [0.0] * len(prompts)

    topics = [f"about {prompt}" for prompt in PROMPTS]
    data = Dataset.from_dict({"prompt": PROMPTS, "topic": topics})
    made(tmp_path, data=data, reward=reward, total_episodes=8).train()
    assert len(seen) == 8
    for prompt, text, ids, topic in seen:
        assert topic == f"about {prompt}"
        assert toy.tokenizer().decode(ids, skip_special_tokens=True) == text


def test_several_rewards_are_summed_and_none_counts_as_zero(tmp_path):
    model = toy.reward_model()
    tokenizer = toy.tokenizer()
    trainer = made(tmp_path, reward=[model, toy.reward, lambda prompts, **_: [None] * len(prompts)])
    prompts, ids = ["the film", "a plot"], [[8, 0], [9, 9]]
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
    by_model = ProxyReward(model, tokenizer)(prompts, texts, completion_ids=ids)
    by_function = toy.reward(prompts, texts, ids)
    expected = [a + b for a, b in zip(by_model, by_function, strict=True)]
    assert scored(trainer, prompts, ids) == pytest.approx(expected, abs=1e-6)


def test_token_ids_as_prompts_score_as_their_text_does(tmp_path):
    tokenizer = toy.tokenizer()
    trainer = made(tmp_path, reward=[toy.reward_model(), toy.reward])
    ids = [[8, 0], [9, 9]]
    as_ids = tokenizer(["the film", "a plot"])["input_ids"]
    assert scored(trainer, as_ids, ids) == scored(trainer, ["the film", "a plot"], ids)


def test_conversations_go_through_the_chat_template(tmp_path):
    tokenizer = toy.tokenizer()
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message['content'] }} . {% endfor %}"
        "{% if add_generation_prompt %}the{% endif %}"
    )
    seen = []

    def reward(prompts, completions, **_):
        seen.extend(zip(prompts, completions, strict=True))
        return [0.0] * len(prompts)

    chats = [[{"role": "user", "content": prompt}] for prompt in PROMPTS]
    trainer = made(
        tmp_path,
        data=Dataset.from_dict({"prompt": chats}),
        reward=reward,
        tokenizer=tokenizer,
        total_episodes=8,
    )
    rollout = trainer._rollout([{"prompt": chats[0]}])
    assert tokenizer.decode(rollout.prompts.ids[0]).split() == ["the", "film", ".", "the"]
    (prompt, completion), *_ = seen
    assert prompt == chats[0]
    assert [message["role"] for message in completion] == ["assistant"]


def test_a_collator_may_prepare_the_prompts(tmp_path):
    tokenizer = toy.tokenizer()
    ids = tokenizer(PROMPTS)["input_ids"]
    rows = [{"input_ids": row} for row in ids]
    assert prompts_of(rows, DataCollatorWithPadding(tokenizer), tokenizer) == ids
    padded = tokenizer(PROMPTS, padding=True)
    columns = zip(padded["input_ids"], padded["attention_mask"], strict=True)
    rows = [{"input_ids": row, "attention_mask": mask} for row, mask in columns]
    assert prompts_of(rows, list, tokenizer) == ids
    made(
        tmp_path, data=Dataset.from_list(rows), data_collator=DataCollatorWithPadding(tokenizer)
    ).train()


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


def test_a_reward_model_needs_no_padding_token(tmp_path):
    prompts, ids = ["the film", "the plot was never"], [[8, 0], [9, 9, 12, 0]]
    model = toy.reward_model()
    known = scored(made(tmp_path, reward=model), prompts, ids)
    model.config.pad_token_id = None
    assert scored(made(tmp_path, reward=model), prompts, ids) == known


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

    def noting(policy, prompts, *args, **kwargs):
        sizes.append(len(prompts.ids))
        return sample(policy, prompts, *args, **kwargs)

    monkeypatch.setattr(generation, "sample", noting)
    settings = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    made(tmp_path, **settings, num_mini_batches=1, total_episodes=8).train()
    assert sizes == [2, 2, 2, 2]
