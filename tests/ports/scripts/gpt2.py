"""GPT-2 with a reward of its own: a module with a trunk and a head, as TRL calls it."""

import torch
from torch import nn
from transformers import DataCollatorWithPadding, GPT2LMHeadModel, GPT2Model

from align_core import PPOConfig, PPOTrainer


class Scorer(nn.Module):
    base_model_prefix = "transformer"

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.transformer = GPT2Model(config)
        self.head = nn.Linear(config.n_embd, 1, bias=False)

    def score(self, hidden_states):
        return self.head(hidden_states)


def main(config, tokenizer, data, output):
    tokenizer.padding_side = "left"
    torch.manual_seed(0)
    policy, reference = (GPT2LMHeadModel(config) for _ in range(2))
    reference.load_state_dict(policy.state_dict())
    reward_model, value_model = Scorer(config), Scorer(config)
    args = PPOConfig(
        output_dir=output,
        use_cpu=True,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        total_episodes=8,
        response_length=6,
        stop_token="eos",
        missing_eos_penalty=1.0,
        report_to="none",
        save_strategy="no",
    )
    trainer = PPOTrainer(
        args=args,
        processing_class=tokenizer,
        model=policy,
        ref_model=reference,
        reward_model=reward_model,
        value_model=value_model,
        train_dataset=data.map(
            lambda row: tokenizer(row["prompt"], padding=False), remove_columns=["prompt"]
        ),
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    updates = args.num_total_batches * args.num_ppo_epochs * args.num_mini_batches
    print(f"{updates} updates, {args.batch_size} episodes each")
    trainer.train()
    trainer.save_model(output)
    return trainer
