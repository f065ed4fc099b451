"""The public interface of PPOTrainer: TRL's last arguments for PPO, and rewards of any kind."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorWithPadding

from align_core import PPOConfig
from align_core.models.rewards import ProxyReward
from align_core.trainers.ppo.prompts import prompts_of
from tests import toy
from tests.ports.ported import scored
from tests.trainers.small_ppo import PROMPTS, made
from tests.trainers.small_trainers import history


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
        ("evaluation_strategy", "eval_strategy"),
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
        ({"neftune_noise_alpha": 5.0}, "expected None; use no noise, which"),
        ({"missing_eos_penalty": -1.0}, "expected a number, 0 or more, or None"),
        ({"per_device_train_batch_size": 8, "num_mini_batches": 3}, "a divisor of the 8"),
    ],
)
def test_invalid_settings_of_ppo_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        PPOConfig(output_dir=str(tmp_path), use_cpu=True, **settings)


def test_the_policy_is_not_its_own_reference(tmp_path):
    model = toy.policy()
    with pytest.raises(ValueError, match="ref_model: expected None or another model"):
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


def test_a_reward_model_needs_no_padding_token(tmp_path):
    prompts, ids = ["the film", "the plot was never"], [[8, 0], [9, 9, 12, 0]]
    model = toy.reward_model()
    known = scored(made(tmp_path, reward=model), prompts, ids)
    model.config.pad_token_id = None
    assert scored(made(tmp_path, reward=model), prompts, ids) == known
