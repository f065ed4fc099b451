"""A validation run: LoRA on the policy, a reward model with an adapter, and bf16."""

from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from align_core import PPOConfig, PPOTrainer


def main(policy_folder, reward_base, reward_adapter, data, output):
    tokenizer = AutoTokenizer.from_pretrained(policy_folder, padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    policy = AutoModelForCausalLM.from_pretrained(policy_folder)
    base = AutoModelForSequenceClassification.from_pretrained(reward_base, num_labels=1)
    reward_model = PeftModel.from_pretrained(base, reward_adapter)
    value_model = AutoModelForSequenceClassification.from_pretrained(reward_base, num_labels=1)
    args = PPOConfig(
        output_dir=output,
        bf16=True,
        use_cpu=True,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        num_ppo_epochs=1,
        num_mini_batches=1,
        local_rollout_forward_batch_size=4,
        total_episodes=8,
        response_length=4,
        missing_eos_penalty=1.0,
        gradient_checkpointing=True,
        report_to="none",
        save_strategy="no",
    )
    trainer = PPOTrainer(
        args=args,
        processing_class=tokenizer,
        model=policy,
        ref_model=None,
        reward_model=reward_model,
        value_model=value_model,
        train_dataset=data.map(lambda row: tokenizer(row["prompt"]), remove_columns=["prompt"]),
        peft_config=LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
    )
    trainer.train()
    trainer.save_model(output)
    return trainer
