"""PPO as a job runner starts it: no padding token, and a collator that pads only `input_ids`."""

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from align_core import PPOConfig, PPOTrainer


class Collator:
    def __init__(self, pad):
        self.pad = pad

    def __call__(self, rows):
        longest = max(len(row["input_ids"]) for row in rows)
        padded = [[self.pad] * (longest - len(row["input_ids"])) + row["input_ids"] for row in rows]
        return {"input_ids": torch.tensor(padded)}


def main(policy_folder, reward_folder, data, output):
    tokenizer = AutoTokenizer.from_pretrained(policy_folder, padding_side="left")
    tokenizer.pad_token = tokenizer.eos_token
    policy = AutoModelForCausalLM.from_pretrained(policy_folder)
    policy.config.pad_token_id = tokenizer.pad_token_id
    reward_model, value_model = (
        AutoModelForSequenceClassification.from_pretrained(reward_folder, num_labels=1)
        for _ in range(2)
    )
    for model in (reward_model, value_model):
        model.config.pad_token_id = tokenizer.pad_token_id
    trainer = PPOTrainer(
        args=PPOConfig(
            output_dir=output,
            use_cpu=True,
            per_device_train_batch_size=4,
            num_ppo_epochs=1,
            num_mini_batches=2,
            total_episodes=8,
            response_length=4,
            report_to="none",
            save_strategy="epoch",
        ),
        processing_class=tokenizer,
        model=policy,
        ref_model=None,
        reward_model=reward_model,
        value_model=value_model,
        train_dataset=data.map(lambda row: tokenizer(row["prompt"]), remove_columns=["prompt"]),
        data_collator=Collator(tokenizer.pad_token_id),
    )
    trainer.train()
    trainer.save_model(output)
    return trainer
