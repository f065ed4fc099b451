"""A script that reads the optimizer before training, slows its value model, and has a schedule."""

from torch.optim.lr_scheduler import LambdaLR

from align_core import PPOConfig, PPOTrainer


def main(tokenizer, policy, reward_model, value_model, data, output):
    args = PPOConfig(
        output_dir=output,
        use_cpu=True,
        per_device_train_batch_size=4,
        num_ppo_epochs=2,
        total_episodes=16,
        response_length=4,
        learning_rate=1e-3,
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
        train_dataset=data,
    )
    weights = sum(p.numel() for group in trainer.optimizer.param_groups for p in group["params"])
    print(f"{weights} weights at a rate of {trainer.lr_scheduler.get_last_lr()[0]}")
    of_values = {id(p) for p in trainer.value_model.parameters()}
    for group in trainer.optimizer.param_groups:
        group["params"] = [p for p in group["params"] if id(p) not in of_values]
    rate = {"lr": 1e-4, "weight_decay": 0.0}
    trainer.optimizer.add_param_group({"params": list(trainer.value_model.parameters()), **rate})
    for group in trainer.optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    trainer.lr_scheduler = LambdaLR(trainer.optimizer, lambda rollout: 0.5**rollout)
    trainer.train()
    return trainer
