"""A critic on a whole language model, the policy itself if they are to share it."""

import torch
from torch import nn

from align_core import PPOConfig, PPOTrainer


class Critic(nn.Module):
    base_model_prefix = "backbone"

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.mlp = nn.Sequential(nn.Linear(backbone.config.hidden_size, 8), nn.Linear(8, 1))

    def score(self, hidden_states):
        return self.mlp(hidden_states)


def main(tokenizer, policy, backbone, reward_model, data, output):
    critic = Critic(backbone)
    own = [{"params": policy.parameters()}, {"params": critic.mlp.parameters(), "lr": 1e-2}]
    trainer = PPOTrainer(
        args=PPOConfig(
            output_dir=output,
            use_cpu=True,
            per_device_train_batch_size=4,
            num_ppo_epochs=1,
            total_episodes=8,
            response_length=4,
            report_to="none",
            save_strategy="epoch",
        ),
        processing_class=tokenizer,
        model=policy,
        ref_model=None,
        reward_model=reward_model,
        value_model=critic,
        train_dataset=data,
        optimizers=(torch.optim.AdamW(own, lr=1e-3), None),
    )
    trainer.train()
    trainer.save_model(output)
    torch.save(trainer.value_model.mlp.state_dict(), f"{output}/critic.pt")
    return trainer
